//! The policy in force follows its file, and only ever to a better version.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use mesh_policy::{Policy, PolicyHandle};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tokio_util::sync::CancellationToken;

use crate::support::{DEMO, demo_contract, parse};

const READ: &str = "/demo.v1.Alpha/Read";

/// The small mesh, but beta may read too.
fn widened() -> String {
    DEMO.replace("from: [edge, person], user", "from: [edge, person, beta], user")
}

fn beta_may_read(handle: &PolicyHandle) -> bool {
    let policy = handle.load();
    policy.decide("alpha", &policy.id_of("beta").unwrap(), READ).is_allowed()
}

/// A watched file; the watcher looks every few milliseconds.
struct Watched {
    handle: PolicyHandle,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Watched {
    fn start(path: &Path) -> Self {
        let handle = PolicyHandle::new(Policy::load(path, &demo_contract()).unwrap());
        let stop = CancellationToken::new();
        let watch = handle.clone().watch(path.to_owned(), Duration::from_millis(5), stop.clone());
        Self { handle, stop, task: tokio::spawn(watch) }
    }

    /// Waits until `true`; bounded.
    async fn until(&self, what: &str, met: impl Fn(&PolicyHandle) -> bool) {
        let wait = async {
            while !met(&self.handle) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap();
    }
}

#[test]
fn a_good_version_comes_into_force_and_a_bad_one_does_not() {
    let handle = PolicyHandle::new(parse(DEMO).unwrap());
    let before = handle.load();
    let versions = handle.versions();
    handle.reload(&widened()).unwrap();
    assert!(versions.has_changed().unwrap());
    assert!(beta_may_read(&handle));
    assert!(
        !before.decide("alpha", &before.id_of("beta").unwrap(), READ).is_allowed(),
        "who loaded it keeps it"
    );
    let faults = handle.reload(&widened().replace("edge:", "Edge:")).unwrap_err();
    assert!(faults.to_string().starts_with("mesh.yaml:11:3:"), "{faults}");
    assert!(beta_may_read(&handle), "the old version stays");
    assert_eq!((handle.applied(), handle.refused()), (1, 1));
    assert_eq!(handle.last_refusal(), Some(faults));
    handle.reload(DEMO).unwrap();
    assert!(!beta_may_read(&handle), "a right is taken away live");
    assert_eq!(handle.last_refusal(), None);
}

#[test]
fn a_running_process_never_changes_its_identity() {
    let handle = PolicyHandle::new(parse(DEMO).unwrap());
    for text in
        [DEMO.replace("demo.local", "other.local"), DEMO.replace("namespace: demo", "namespace: other")]
    {
        let faults = handle.reload(&text).unwrap_err();
        assert!(faults.to_string().contains("cannot change while a process runs"), "{faults}");
    }
    assert_eq!((handle.applied(), handle.refused()), (0, 2));
    assert_eq!(handle.load().namespace(), "demo");
}

#[tokio::test]
async fn the_file_is_followed_through_good_bad_and_missing_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.yaml");
    fs::write(&path, DEMO).unwrap();
    let watched = Watched::start(&path);
    fs::write(folder.path().join("new"), widened()).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    watched.until("the new version", beta_may_read).await;
    let refused = watched.handle.refused();
    fs::write(&path, "calls: nothing\n").unwrap();
    watched.until("a refusal", |handle| handle.refused() > refused).await;
    assert!(beta_may_read(&watched.handle));
    let refused = watched.handle.refused();
    fs::remove_file(&path).unwrap();
    watched.until("another refusal", |handle| handle.refused() > refused).await;
    let why = watched.handle.last_refusal().unwrap().to_string();
    assert!(why.contains("cannot be read"), "{why}");
    assert!(beta_may_read(&watched.handle));
    fs::write(folder.path().join("new"), DEMO).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    watched.until("the first version again", |handle| !beta_may_read(handle)).await;
    assert_eq!(watched.handle.last_refusal(), None);
    watched.end().await;
}

#[tokio::test]
async fn the_same_refused_version_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.yaml");
    fs::write(&path, DEMO).unwrap();
    let watched = Watched::start(&path);
    fs::write(folder.path().join("new"), "calls: nothing\n").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    watched.until("a refusal", |handle| handle.refused() == 1).await;
    // Touched, not changed; then the version in force comes back, which is no new one.
    fs::write(folder.path().join("new"), "calls: nothing\n").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    fs::write(folder.path().join("new"), DEMO).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    watched.until("the end of the refusal", |handle| handle.last_refusal().is_none()).await;
    assert_eq!((watched.handle.applied(), watched.handle.refused()), (0, 1));
    watched.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_config_map_is_followed_through_its_data_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, text) in [("..1", DEMO.to_owned()), ("..2", widened())] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("mesh.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/mesh.yaml", at("mesh.yaml")).unwrap();
    let watched = Watched::start(&at("mesh.yaml"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!beta_may_read(&watched.handle));
    // What the kubelet does: a new link beside the old one, renamed over it, then the old folder goes.
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..1")).unwrap();
    watched.until("the new version", beta_may_read).await;
    assert_eq!((watched.handle.applied(), watched.handle.refused()), (1, 0));
    watched.end().await;
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_of_the_whole_file() {
    let faults = Policy::load(Path::new("/nonexistent/mesh.yaml"), &demo_contract()).unwrap_err();
    assert_eq!((faults.list().len(), faults.list()[0].line), (1, 0));
    assert!(faults.to_string().starts_with("/nonexistent/mesh.yaml: cannot be read: "), "{faults}");
}

/// Keeps what was recorded, as text.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<String>>>);

struct Cell(Recorded, String);

impl Cell {
    fn keep(&self, what: &str) {
        self.0.0.lock().unwrap().push(format!("{} {what}", self.1));
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.keep(&format!("+{value}"));
    }

    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Cell {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.keep(&format!("={value}"));
    }
}

impl Recorded {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> =
            key.labels().map(|label| format!("{{{}={}}}", label.key(), label.value())).collect();
        Arc::new(Cell(self.clone(), format!("{}{}", key.name(), labels.concat())))
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn reloads_and_refusals_are_counted() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, || {
        let handle = PolicyHandle::new(parse(DEMO).unwrap());
        handle.reload(&widened()).unwrap();
        handle.reload("calls: nothing").unwrap_err();
        handle.reload(DEMO).unwrap();
    });
    assert_eq!(
        *recorded.0.lock().unwrap(),
        [
            "mesh_policy_stale =0",
            "mesh_policy_reloads_total{outcome=applied} +1",
            "mesh_policy_stale =0",
            "mesh_policy_reloads_total{outcome=refused} +1",
            "mesh_policy_stale =1",
            "mesh_policy_reloads_total{outcome=applied} +1",
            "mesh_policy_stale =0",
        ]
    );
}
