//! What an outbound call takes over from the call that it belongs to.

use http::Extensions;
use mesh_identity::{Principal, User};
use mesh_resilience::Deadline;

/// The deadline and the user of the present call. It travels in the extensions of a `tonic::Request`, where the
/// [`crate::Channel`] reads it; a call without one has the deadline of the policy and no user.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// When the present call ends.
    pub deadline: Option<Deadline>,
    /// In whose name it is made.
    pub user: Option<User>,
}

/// Something that carries extensions.
pub trait Carrier {
    /// Them.
    fn extensions(&self) -> &Extensions;
}

impl Carrier for Extensions {
    fn extensions(&self) -> &Extensions {
        self
    }
}

impl<T> Carrier for tonic::Request<T> {
    fn extensions(&self) -> &Extensions {
        self.extensions()
    }
}

impl<T> Carrier for http::Request<T> {
    fn extensions(&self) -> &Extensions {
        self.extensions()
    }
}

impl CallContext {
    /// The context of an inbound request, from what the inbound stack put there: its [`Deadline`] and the user of its
    /// [`Principal`].
    #[must_use]
    pub fn of(inbound: &impl Carrier) -> Self {
        let extensions = inbound.extensions();
        let user = extensions.get::<Principal>().and_then(|principal| principal.user.clone());
        Self { deadline: extensions.get::<Deadline>().copied(), user }
    }

    /// An outbound request that belongs to this call.
    #[must_use]
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(self.clone());
        request
    }
}
