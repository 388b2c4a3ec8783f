//! `quipu up` as a process: its table, its end, and ports that are taken.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::{program, quipu, text};

/// A running `quipu up`, stopped with the test.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_where_everything_is_and_ends_cleanly_on_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let args = ["up", "--data", data, "--listen", "127.0.0.1:0", "--free-ports"];
    let child =
        program().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut up = Up(child.unwrap());
    let mut lines = BufReader::new(up.0.stdout.take().unwrap()).lines();
    let table: Vec<_> = lines.by_ref().map(Result::unwrap).take_while(|l| l != "Ctrl-C stops it.").collect();
    let table = table.join("\n");
    for part in [
        "Quipu is ready after",
        "gateway    http",
        "auth       grpc",
        "sentiment  grpc",
        "admin@",
        "curl -s",
        "grpcurl",
    ] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
    let pid = up.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(up.0.wait().unwrap().code(), Some(0));
    assert_eq!(lines.next().unwrap().unwrap(), "stopped");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let out = quipu(&["up", "--data", folder.path().to_str().unwrap(), "--listen", &address, "--free-ports"]);
    let errors = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{errors}");
    assert!(errors.contains("gateway does not start") && errors.contains(&address), "{errors}");
}
