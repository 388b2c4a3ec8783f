//! The mint's tokens are believed by its own verifier and by no other.

use mesh_testkit::{TestMesh, TokenMint};

#[tokio::test]
async fn tokens_are_believed_by_their_own_mint_only() {
    let (mint, other) = (TokenMint::new().unwrap(), TokenMint::new().unwrap());
    let token =
        mint.user("alice").scopes("profile:read keys:manage").unwrap().roles(&["admin"]).sign().unwrap();
    let claims = mint.verifier().verify(&token).await.unwrap();
    assert_eq!((claims.sub.as_str(), claims.roles.as_slice()), ("alice", &["admin".to_owned()][..]));
    assert!(claims.scope.contains("keys:manage"));
    assert!(other.verifier().verify(&token).await.is_err());
}

#[tokio::test]
async fn the_certificates_of_a_mesh_are_what_a_workload_reads_from_its_folder() {
    let mesh = TestMesh::start().unwrap();
    let tls = mesh_identity::Tls::from_dir(&mesh.tls_dir("gateway").unwrap()).unwrap();
    assert_eq!(tls.id(), mesh.id("gateway").unwrap());
}
