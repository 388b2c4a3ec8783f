//! What tests of the mesh share: certificates, tokens, databases, collectors and a fault proxy.
