//! Keys and revocations from `auth`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use mesh_client::auth::token_verifier;
use mesh_identity::{Claims, Jwks, Profile, SigningKey, TokenError};
use mesh_proto::auth::v1::{
    CheckSessionRequest, CheckSessionResponse, GetJwksResponse, Revocation, WatchRevocationsResponse,
    revocation::Subject,
};
use prost::Message as _;
use tokio::sync::broadcast;

use crate::support::{Call, Fake, Reply, World, message, ok, status, stream};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims(profile: &Profile, session: &str) -> Claims {
    Claims {
        iss: profile.issuer.clone(),
        sub: "ann".into(),
        aud: profile.audience.clone(),
        exp: now() + 600,
        iat: now(),
        nbf: now(),
        jti: format!("of-{session}"),
        sid: session.into(),
        scope: "profile:read".parse().expect("a scope"),
        roles: vec!["user".into()],
        client_id: None,
    }
}

/// An `auth` with one key, whose stream of revocations may be down.
async fn auth(
    world: &World,
    key: &SigningKey,
    revoked: Option<broadcast::Sender<WatchRevocationsResponse>>,
    inactive: Arc<Mutex<Vec<String>>>,
) -> Fake {
    let jwks = Jwks::new(vec![key.public().clone()]).expect("a key set").to_json();
    Fake::auth(world, move |call: Call| {
        let (jwks, revoked, inactive) = (jwks.clone(), revoked.clone(), Arc::clone(&inactive));
        async move { answer(&call, jwks, revoked, &inactive) }
    })
    .await
}

fn answer(
    call: &Call,
    jwks: String,
    revoked: Option<broadcast::Sender<WatchRevocationsResponse>>,
    inactive: &Mutex<Vec<String>>,
) -> Reply {
    match call.path.rsplit('/').next() {
        Some("GetJwks") => ok(&GetJwksResponse { jwks }),
        Some("CheckSession") => {
            let asked = CheckSessionRequest::decode(call.body.slice(5..)).expect("a request");
            let active = !inactive.lock().expect("not poisoned").contains(&asked.session_id);
            ok(&CheckSessionResponse { active })
        }
        _ => match revoked {
            None => status(mesh_error::Error::unavailable("DOWN", "down")),
            Some(revoked) => {
                let first = futures::stream::iter([WatchRevocationsResponse::default()]);
                let live = futures::stream::unfold(revoked.subscribe(), |mut receiver| async {
                    Some((receiver.recv().await.ok()?, receiver))
                });
                stream(first.chain(live).map(|event| message(&event)))
            }
        },
    }
}

#[tokio::test]
async fn a_token_is_good_until_the_stream_says_otherwise() {
    let (world, key, profile) = (World::new(), SigningKey::generate().expect("a key"), Profile::default());
    let (revoke, _keep) = broadcast::channel(8);
    let auth = auth(&world, &key, Some(revoke.clone()), Arc::default()).await;
    let verifier = token_verifier(&world.gateway(&[auth.address()]), profile.clone(), &world.lifecycle);
    let verifier = verifier.expect("auth is known");
    let token = key.sign(&claims(&profile, "s1")).expect("a token");
    assert_eq!(verifier.verify(&token).await.expect("good").sub, "ann");

    let subject = Some(Subject::SessionId("s1".into()));
    let revoked_at = Some(prost_types::Timestamp { seconds: i64::try_from(now()).expect("now"), nanos: 0 });
    let revocation = Some(Revocation { subject, revoked_at });
    let waiting = async {
        loop {
            let _ = revoke.send(WatchRevocationsResponse { cursor: 1, revocation: revocation.clone() });
            if let Err(error) = verifier.verify(&token).await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("revoked in time");
    assert!(matches!(error, TokenError::Revoked), "{error:?}");
}

#[tokio::test]
async fn without_the_stream_auth_is_asked() {
    let (world, key, profile) = (World::new(), SigningKey::generate().expect("a key"), Profile::default());
    let auth = auth(&world, &key, None, Arc::new(Mutex::new(vec!["gone".into()]))).await;
    let verifier = token_verifier(&world.gateway(&[auth.address()]), profile.clone(), &world.lifecycle);
    let verifier = verifier.expect("auth is known");
    let (good, gone) = (key.sign(&claims(&profile, "s1")), key.sign(&claims(&profile, "gone")));
    verifier.verify(&good.expect("a token")).await.expect("good");
    let error = verifier.verify(&gone.expect("a token")).await.unwrap_err();
    assert!(matches!(error, TokenError::Revoked), "{error:?}");
}
