//! Files that change under a running process.

use std::{fs, path::Path, time::Duration};

use mesh_identity::{DevCa, Issued, Tls};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    forge::{Authority, DAY, Forged, pem, trust_domain, valid, workload},
    metering::Meter,
    wire::meet,
};

const POLL: Duration = Duration::from_millis(10);

/// A workload whose material lies in a folder that is watched.
struct Mounted {
    dir: TempDir,
    tls: Tls,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Mounted {
    fn new(fill: impl FnOnce(&Path)) -> Self {
        Self::every(POLL, fill)
    }

    fn every(every: Duration, fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let tls = Tls::from_dir(dir.path()).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(tls.clone().watch(dir.path().to_owned(), every, stop.clone()));
        Self { dir, tls, stop, task }
    }

    fn issued(issued: &Issued) -> Self {
        Self::new(|dir| issued.write(dir, "tls").unwrap())
    }

    fn generation(&self) -> u64 {
        *self.tls.generation().borrow()
    }

    /// By renaming, so that the watcher never sees a part of it.
    fn put(&self, name: &str, text: &str) {
        let (temporary, target) = (self.dir.path().join("new"), self.dir.path().join(name));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, target).unwrap();
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(10), self.task).await.expect("the watcher stops").unwrap();
    }
}

fn issue(ca: &DevCa) -> Issued {
    ca.issue(&workload("auth"), DAY).unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(POLL / 2).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Enough time for several polls.
async fn some_polls() {
    tokio::time::sleep(POLL * 10).await;
}

#[tokio::test]
async fn new_files_are_loaded_and_seen_on_the_wire() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    let mounted = Mounted::issued(&issue(&ca));
    let client = Tls::new(ca.issue(&workload("gateway"), DAY).unwrap().material()).unwrap();
    some_polls().await;
    assert_eq!(mounted.generation(), 1, "the files are those that were loaded");

    let before = meet(mounted.tls.server_config(), client.client_config(&workload("auth"))).await.1.unwrap();
    issue(&ca).write(mounted.dir.path(), "tls").unwrap();
    until("reload", || mounted.generation() == 2).await;
    let after = meet(mounted.tls.server_config(), client.client_config(&workload("auth"))).await.1.unwrap();
    assert_ne!(before.leaf, after.leaf);
    mounted.end().await;
}

#[tokio::test]
async fn a_torn_write_keeps_the_old_material_until_it_is_whole() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = DevCa::new(&trust_domain()).unwrap();
    let mounted = Mounted::issued(&issue(&ca));
    let client = Tls::new(ca.issue(&workload("gateway"), DAY).unwrap().material()).unwrap();
    let next = issue(&ca);

    mounted.put("tls.crt", &next.cert_pem);
    until("refusal", || meter.reloads("refused") == 1).await;
    some_polls().await;
    assert_eq!((meter.reloads("refused"), mounted.generation()), (1, 1), "counted once, nothing changed");
    let (served, called) = meet(mounted.tls.server_config(), client.client_config(&workload("auth"))).await;
    assert!(served.is_ok() && called.is_ok(), "the old material still serves");

    mounted.put("tls.key", &next.key_pem[..next.key_pem.len() / 2]);
    until("second refusal", || meter.reloads("refused") == 2).await;
    mounted.put("tls.key", &next.key_pem);
    until("reload", || mounted.generation() == 2).await;
    assert_eq!((meter.reloads("refused"), meter.reloads("loaded")), (2, 1));
    mounted.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_one_look_finds_does_not_count() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = DevCa::new(&trust_domain()).unwrap();
    let issued = issue(&ca);
    let mounted = Mounted::every(DAY, |dir| issued.write(dir, "tls").unwrap());
    // Half a day after each look; the clock stands while the files are read.
    tokio::time::sleep(DAY + DAY / 2).await;
    mounted.put("tls.key", "half");
    tokio::time::sleep(DAY).await;
    mounted.put("tls.key", &issued.key_pem);
    tokio::time::sleep(DAY).await;
    issue(&ca).write(mounted.dir.path(), "tls").unwrap();
    tokio::time::sleep(DAY).await;
    assert_eq!((meter.reloads("refused"), mounted.generation()), (0, 1), "seen once");
    tokio::time::sleep(DAY).await;
    assert_eq!((meter.reloads("refused"), mounted.generation()), (0, 2));
    mounted.end().await;
}

#[tokio::test]
async fn files_that_vanish_and_return_do_no_harm() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = DevCa::new(&trust_domain()).unwrap();
    let issued = issue(&ca);
    let mounted = Mounted::issued(&issued);
    fs::remove_file(mounted.dir.path().join("tls.key")).unwrap();
    until("refusal", || meter.reloads("refused") == 1).await;
    mounted.put("tls.key", &issued.key_pem);
    some_polls().await;
    assert_eq!((meter.reloads("refused"), meter.reloads("loaded"), mounted.generation()), (1, 0, 1));
    issue(&ca).write(mounted.dir.path(), "tls").unwrap();
    until("reload", || mounted.generation() == 2).await;
    mounted.end().await;
}

#[tokio::test]
async fn the_identity_on_disk_cannot_change_that_of_the_process() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = DevCa::new(&trust_domain()).unwrap();
    let mounted = Mounted::issued(&issue(&ca));
    ca.issue(&workload("sentiment"), DAY).unwrap().write(mounted.dir.path(), "tls").unwrap();
    until("refusal", || meter.reloads("refused") >= 1).await;
    some_polls().await;
    assert_eq!((mounted.tls.id(), mounted.generation()), (workload("auth"), 1));
    mounted.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_kubernetes_volume_is_swapped_whole() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = DevCa::new(&trust_domain()).unwrap();
    let publish = |dir: &Path, version: &str| {
        use std::os::unix::fs::symlink;
        issue(&ca).write(&dir.join(version), "tls").unwrap();
        symlink(version, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    };
    let mounted = Mounted::new(|dir| {
        publish(dir, "..v1");
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            std::os::unix::fs::symlink(Path::new("..data").join(name), dir.join(name)).unwrap();
        }
    });
    for generation in 2..5 {
        publish(mounted.dir.path(), &format!("..v{generation}"));
        until("reload", || mounted.generation() == generation).await;
        fs::remove_dir_all(mounted.dir.path().join(format!("..v{}", generation - 1))).unwrap();
    }
    assert_eq!((meter.reloads("refused"), meter.reloads("loaded")), (0, 3));
    mounted.end().await;
}

#[cfg(unix)]
#[test]
fn the_three_files_are_of_one_version_of_a_kubernetes_volume() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (issue(&ca), issue(&ca));
    // As a reader sees it who followed one link before the swap: outside the old version, behind `..data` the new one.
    old.write(dir.path(), "tls").unwrap();
    new.write(&dir.path().join("..v2"), "tls").unwrap();
    std::os::unix::fs::symlink("..v2", dir.path().join("..data")).unwrap();
    fs::write(dir.path().join("tls.key"), &*new.key_pem).unwrap();
    assert!(Tls::from_dir(dir.path()).is_ok());
}

#[tokio::test]
async fn a_certificate_that_is_early_is_loaded_when_its_time_comes() {
    let meter = Meter::default();
    let _guard = metrics::set_default_local_recorder(&meter);
    let ca = Authority::root("ca");
    let write = |dir: &Path, forged: &Forged| {
        fs::write(dir.join("ca.crt"), ca.pem()).unwrap();
        fs::write(dir.join("tls.key"), forged.key.serialize_pem()).unwrap();
        fs::write(dir.join("tls.crt"), pem(forged.leaf())).unwrap();
    };
    let mounted = Mounted::new(|dir| write(dir, &ca.workload("auth")));
    let early = ca.leaf(workload("auth").as_str(), |leaf| leaf.not_before = valid(3, 3600).not_before);
    write(mounted.dir.path(), &early);
    until("refusal", || meter.reloads("refused") >= 1).await;
    assert_eq!(mounted.generation(), 1);
    until("reload", || mounted.generation() == 2).await;
    mounted.end().await;
}

#[test]
fn a_missing_folder_is_named() {
    let error = Tls::from_dir(Path::new("nowhere")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read nowhere/tls.crt: "), "{error}");
}
