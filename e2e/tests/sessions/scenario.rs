//! What happens to the mesh while credentials are revoked, and for how long each is still taken.

use std::time::Duration;

use futures::future::join_all;
use mesh_testkit::Fault;
use quipu_e2e::{LIMIT, Person, ProcessMesh, Proof, eventually, is_full};
use tokio::time::{Instant, sleep};

use crate::{
    direct::Direct,
    support::{HOME, Tokens, gates, login, register},
    victims::{Maker, Probe, Victim},
};

/// What the mesh promises.
const BOUND: Duration = Duration::from_secs(5);
/// Between two uses of a credential at one place.
const PAUSE: Duration = Duration::from_millis(100);
/// How long everything is watched at most, after the revocation.
const WATCHED: Duration = Duration::from_millis(7_500);
/// In the short form, a place that has refused for so long is believed to go on so.
const BELIEVED: Duration = Duration::from_millis(800);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// `auth` cannot be reached: nothing comes back any more.
    BlackHole,
    /// `auth` cannot be reached: connections are reset.
    Reset,
    /// The stream is reset again and again, and comes back.
    Flapping,
    /// `auth` freezes right after the revocation.
    Frozen,
    /// `auth` is killed right after the revocation and started again.
    Restarted,
    /// `auth` is killed right after the revocation and stays away.
    Dead,
}

/// How long a credential was taken at one place.
#[derive(Debug, Default)]
struct Seen {
    tries: u64,
    /// Tries begun after the bound, and taken.
    late: u64,
    /// From the revocation to the end of the last try that was taken.
    last: Duration,
}

/// The mesh and who acts in it.
pub(crate) struct Stage {
    pub(crate) mesh: ProcessMesh,
    direct: Direct,
    admin: String,
    bystander: Tokens,
    rounds: u32,
}

impl Stage {
    /// With an administrator and somebody whose session nobody revokes.
    pub(crate) async fn on(mesh: ProcessMesh) -> Self {
        let (direct, [person, _]) = (Direct::to(&mesh), gates(&mesh));
        register(&person, "bystander@example.com").await;
        let bystander = Tokens::sign_in(&person, "bystander@example.com").await;
        let admin = administrator(&person).await;
        Self { mesh, direct, admin, bystander, rounds: 0 }
    }

    /// Revokes one credential of each kind in the midst of a trouble; the longest that one was still taken.
    pub(crate) async fn play(&mut self, proof: &mut Proof, trouble: Trouble) -> Duration {
        self.rounds += 1;
        let round = self.rounds.to_string();
        let maker = Maker { mesh: &self.mesh, direct: &self.direct, admin: &self.admin, round: &round };
        let victims = maker.all().await;
        for (_, name, probe) in probes(&victims) {
            let taken = eventually(BOUND, || probe.is_accepted()).await;
            proof.check(taken, || format!("{trouble:?}: {name}: not taken before"));
        }
        self.begin(trouble);
        let revoked = join_all(victims.iter().map(|victim| maker.revoke(victim))).await;
        let watching = tokio::spawn(watch_all(probes(&victims), revoked));
        self.meanwhile(trouble).await;
        let mut worst = Duration::ZERO;
        for (name, seen) in watching.await.unwrap() {
            proof.add(seen.tries, seen.late);
            proof.check(seen.late == 0, || format!("{trouble:?}: {name}: taken for {:?}", seen.last));
            worst = worst.max(seen.last);
        }
        self.heal(trouble).await;
        self.check_healed(proof, trouble, &victims).await;
        worst
    }

    fn fault(&self, fault: Fault) {
        self.mesh.proxy.as_ref().unwrap().set(fault);
    }

    /// The cuts come before the revocation: nothing of it gets through.
    fn begin(&self, trouble: Trouble) {
        match trouble {
            Trouble::BlackHole => self.fault(Fault::BlackHole),
            Trouble::Reset | Trouble::Flapping => self.fault(Fault::Reset),
            _ => {}
        }
    }

    /// The deaths come right after it was acknowledged.
    async fn meanwhile(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Flapping => {
                for fault in [Fault::None, Fault::Reset, Fault::None, Fault::Reset, Fault::None] {
                    sleep(Duration::from_millis(300)).await;
                    self.fault(fault);
                }
            }
            Trouble::Frozen => self.mesh.process("auth").signal("STOP"),
            Trouble::Restarted => {
                self.mesh.stop("auth", "KILL").await;
                self.mesh.start_again("auth").await;
            }
            Trouble::Dead => self.mesh.stop("auth", "KILL").await,
            Trouble::None | Trouble::BlackHole | Trouble::Reset => {}
        }
    }

    async fn heal(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Frozen => self.mesh.process("auth").signal("CONT"),
            Trouble::Dead => self.mesh.start_again("auth").await,
            _ => self.fault(Fault::None),
        }
    }

    /// Whoever was not revoked is taken again, whoever was is not.
    async fn check_healed(&self, proof: &mut Proof, trouble: Trouble, victims: &[Victim]) {
        let maker = Maker { mesh: &self.mesh, direct: &self.direct, admin: &self.admin, round: "" };
        for (place, probe) in maker.probes(&self.bystander.access, &self.bystander.access) {
            let back = eventually(LIMIT, || probe.is_accepted()).await;
            proof.check(back, || format!("{trouble:?}: a good token is not taken again at {place}"));
        }
        for (what, place, accepted) in ask_all(victims).await {
            proof.check(!accepted, || format!("{trouble:?}: {what}: taken again at {place}"));
        }
    }
}

async fn administrator(person: &Person) -> String {
    let reply = login(person, HOME, quipu_e2e::ADMIN_EMAIL, quipu_e2e::ADMIN_PASSWORD).await;
    Tokens::of(&reply.body).access
}

/// Each place of each victim, by the number of the victim.
fn probes(victims: &[Victim]) -> Vec<(usize, String, Probe)> {
    let all = victims.iter().enumerate();
    all.flat_map(|(n, victim)| {
        victim
            .probes
            .iter()
            .map(move |(place, probe)| (n, format!("{} at {place}", victim.what), probe.clone()))
    })
    .collect()
}

async fn ask_all(victims: &[Victim]) -> Vec<(&'static str, String, bool)> {
    let each = victims.iter().flat_map(|victim| victim.probes.iter().map(move |probe| (victim.what, probe)));
    join_all(
        each.map(|(what, (place, probe))| async move { (what, place.clone(), probe.is_accepted().await) }),
    )
    .await
}

async fn watch_all(probes: Vec<(usize, String, Probe)>, revoked: Vec<Instant>) -> Vec<(String, Seen)> {
    join_all(probes.into_iter().map(|(n, name, probe)| {
        let revoked = revoked[n];
        async move { (name, watch(&probe, revoked).await) }
    }))
    .await
}

async fn watch(probe: &Probe, revoked: Instant) -> Seen {
    let mut seen = Seen::default();
    while revoked.elapsed() < WATCHED {
        let begun = revoked.elapsed();
        let accepted = probe.is_accepted().await;
        seen.tries += 1;
        if accepted {
            seen.last = revoked.elapsed();
            seen.late += u64::from(begun > BOUND);
        } else if !is_full() && revoked.elapsed().saturating_sub(seen.last) > BELIEVED {
            return seen;
        }
        sleep(PAUSE).await;
    }
    seen
}
