//! I10: jokes that are told again: to whom, and for which wishes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mesh_proto::jokes::v1::{Length, Style};
use mesh_testkit::{Asked, FakeLlm, Reply};
use quipu_e2e::{ProcessMesh, Proof};

use crate::{
    ask::{Outcome, Told, Way, Wish},
    asker::Asker,
    direct::Direct,
    support::{numbered, setup},
};

/// The models that may be asked, both of the same provider.
pub(crate) const MODELS: [&str; 2] = ["m", "other"];

/// People who wish for the same; one has nothing to do with the other.
pub(crate) struct People {
    pub(crate) ada: Asker,
    pub(crate) bob: Asker,
}

/// What came of one wish.
pub(crate) struct Got {
    pub(crate) outcome: Outcome,
    /// How often the provider was asked.
    pub(crate) calls: u64,
}

impl People {
    pub(crate) async fn join(mesh: &ProcessMesh) -> Self {
        let direct = Direct::to(mesh);
        Self { ada: Asker::join(mesh, &direct, "ada").await, bob: Asker::join(mesh, &direct, "bob").await }
    }
}

/// From now on the provider tells another joke each time.
pub(crate) fn never_the_same(fake: &FakeLlm) {
    let told = AtomicU64::new(0);
    fake.respond_with(Arc::new(move |_: &Asked| Reply::text(numbered(told.fetch_add(1, Ordering::SeqCst)))));
}

/// Asks once.
pub(crate) async fn get(fake: &FakeLlm, asker: &Asker, way: Way, wish: &Wish) -> Got {
    let before = fake.counts().calls;
    let outcome = asker.ask(way, wish).await;
    Got { outcome, calls: fake.counts().calls - before }
}

impl Got {
    fn told(&self) -> Option<&Told> {
        self.outcome.told.as_ref()
    }

    /// The provider was asked.
    pub(crate) fn is_new(&self) -> bool {
        self.calls == 1 && self.told().is_some_and(|told| !told.cached && told.cost > 0)
    }

    /// This joke, again and for nothing.
    pub(crate) fn is_again(&self, setup: &str) -> bool {
        let is_free = |told: &Told| told.cached && told.input + told.output == 0 && told.cost == 0;
        self.calls == 0 && self.told().is_some_and(|told| is_free(told) && told.setup == setup)
    }

    pub(crate) fn setup(&self) -> String {
        self.told().map(|told| told.setup.clone()).unwrap_or_default()
    }

    pub(crate) fn shown(&self) -> String {
        format!("{} calls, {:?}", self.calls, self.outcome)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_process_a_cached_joke_is_given_to_its_own_user_only() {
    let mut proof = Proof::new(
        "I10.process",
        "a cached joke is given again to its user, for the same wish, and to nobody else",
    );
    let fake = FakeLlm::start().await.unwrap();
    let mesh = with_prices(setup(&fake, &MODELS)).with("jokes", "QUIPU_JOKES_CACHE", "on").start().await;
    let people = People::join(&mesh).await;
    never_the_same(&fake);
    let (wishes, foreign) = shared(&mut proof, &fake, &people).await;
    let keys = told_apart(&mut proof, &fake, &people.ada).await;
    proof.figure(format!(
        "{wishes} wishes of two users, each again in 4 ways: {foreign} jokes of the other; {keys} jokes for wishes that differ in one thing"
    ));
    proof.limit("0 jokes of another; the same wish again: 0 calls, marked, free; each other wish: 1 call");
    proof.finish();
}

/// With a price for each model, so that what is free shows.
pub(crate) fn with_prices(setup: quipu_e2e::Setup) -> quipu_e2e::Setup {
    let prices = MODELS.map(|model| format!("{model}=1/1"));
    setup.with("jokes", "QUIPU_JOKES_PRICES", prices.join(","))
}

/// The same wish by two users: each gets their own, and it again. Returns the number of wishes, and of jokes
/// that were the other's.
pub(crate) async fn shared(proof: &mut Proof, fake: &FakeLlm, people: &People) -> (usize, usize) {
    let (People { ada, bob }, mut foreign) = (people, 0);
    for first in Way::ALL {
        let wish = Wish::new(&format!("cats, asked by {}", first.name()), "m");
        let mut setups = Vec::new();
        for asker in [ada, bob] {
            let new = get(fake, asker, first, &wish).await;
            proof.check(new.is_new(), || format!("{first:?}: {}", new.shown()));
            setups.push(new.setup());
        }
        proof.check(setups[0] != setups[1], || format!("one joke for both: {setups:?}"));
        foreign += usize::from(setups[0] == setups[1]);
        for (asker, setup) in [ada, bob, ada].into_iter().zip([&setups[0], &setups[1], &setups[0]]) {
            let before = asker.used().await;
            for way in Way::ALL {
                let again = get(fake, asker, way, &wish).await;
                foreign += usize::from(setups.contains(&again.setup()) && again.setup() != *setup);
                proof.check(again.is_again(setup), || format!("{way:?}, not {setup}: {}", again.shown()));
                let is_told = !way.streams() || again.outcome.text.contains(setup);
                proof.check(is_told, || format!("{way:?} tells {:?}", again.outcome.text));
            }
            let used = asker.used().await;
            proof.check(used == before, || format!("what is free was billed: {before:?}, {used:?}"));
        }
    }
    (Way::ALL.len(), foreign)
}

/// Wishes that differ in one thing, each of them told anew and then again. Returns their number.
pub(crate) async fn told_apart(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> usize {
    let mut told = BTreeMap::new();
    for (n, (what, wish)) in different().iter().enumerate() {
        let new = get(fake, asker, Way::ALL[n % 4], wish).await;
        proof.check(new.is_new(), || format!("another {what}: {}", new.shown()));
        let same = told.insert(new.setup(), *what);
        proof.check(same.is_none(), || format!("another {what} is told as {same:?}"));
    }
    for (n, (what, wish)) in different().iter().chain(&alike()).enumerate() {
        let again = get(fake, asker, Way::ALL[n % 4], wish).await;
        let is_again = told.get(&again.setup()) == Some(what) && again.is_again(&again.setup());
        proof.check(is_again, || format!("{what} again: {}", again.shown()));
    }
    told.len()
}

/// Wishes that differ in one thing from the first.
fn different() -> Vec<(&'static str, Wish)> {
    let base = Wish::new("cats that like boxes", "m");
    let with = |change: fn(&mut Wish)| {
        let mut wish = base.clone();
        change(&mut wish);
        wish
    };
    vec![
        ("nothing", base.clone()),
        ("model", with(|w| w.model = "other".to_owned())),
        ("topic", with(|w| w.topic = "cats that like bones".to_owned())),
        ("case", with(|w| w.topic = "Cats that like boxes".to_owned())),
        ("form of Unicode", with(|w| w.topic = "cats that like bo\u{308}xes".to_owned())),
        ("the same form", with(|w| w.topic = "cats that like b\u{f6}xes".to_owned())),
        ("style", with(|w| w.params.style = Style::Riddle.into())),
        ("other style", with(|w| w.params.style = Style::Dad.into())),
        ("length", with(|w| w.params.length = Length::Short.into())),
        ("audience", with(|w| w.params.audience = "sailors".to_owned())),
        ("other audience", with(|w| w.params.audience = "tailors".to_owned())),
        ("language", with(|w| w.params.language = "de".to_owned())),
        ("temperature", with(|w| w.params.temperature = Some(0.0))),
        ("other temperature", with(|w| w.params.temperature = Some(0.5))),
        ("seed", with(|w| w.params.seed = Some(0))),
        ("other seed", with(|w| w.params.seed = Some(1))),
    ]
}

/// Wishes that say what goes without saying.
fn alike() -> Vec<(&'static str, Wish)> {
    let base = Wish::new("  cats that like boxes ", "");
    let mut all = base.clone();
    all.params.style = Style::Pun.into();
    all.params.length = Length::Medium.into();
    "en".clone_into(&mut all.params.language);
    vec![("nothing", base), ("nothing", all)]
}
