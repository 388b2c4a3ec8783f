//! SPIFFE ids, X.509-SVIDs, mutual TLS and its live reload, and the development CA.

#[cfg(test)]
mod dev_ca;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod leaves;
#[cfg(test)]
mod metering;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod watching;
#[cfg(test)]
mod wire;
