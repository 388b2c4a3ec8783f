//! External tools, pinned, installed by package name into `.tools`, which git ignores.
//!
//! A tool of the wanted version that is on the PATH already is taken instead. Servers come from the system's packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{output, root, run, run_with};

struct Tool {
    name: &'static str,
    version: &'static str,
    /// What it is for and how long it may take on two cores.
    about: &'static str,
    /// Whether `cargo xtask test` needs it.
    for_tests: bool,
    how: How,
}

enum How {
    /// A package of the npm registry with a prebuilt program.
    Npm(&'static str),
    /// A crate, built from source.
    Cargo,
    /// A Python package, in a virtual environment of its own.
    Pip,
    /// A Go package.
    Go(&'static str),
    /// A Go module that `go install` refuses because of its replace directives: built in a copy of its folder.
    GoModule { module: &'static str, package: &'static str },
    /// Files of a Go module that is no program: copied into a folder of the tool's name.
    GoFiles { module: &'static str, files: &'static [&'static str] },
    /// Debian packages and the program that shows that they are there.
    Debian { packages: &'static [&'static str], program: &'static str },
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "postgres",
        version: "15",
        about: "SQL store in the tests; 20 s",
        for_tests: true,
        how: How::Debian { packages: &["postgresql-15"], program: "/usr/lib/postgresql/15/bin/initdb" },
    },
    Tool {
        name: "redis",
        version: "7.0",
        about: "shared limits in the tests; 10 s",
        for_tests: true,
        how: How::Debian { packages: &["redis-server"], program: "/usr/bin/redis-server" },
    },
    Tool {
        name: "buf",
        version: "1.75.0",
        about: "lint, format and compatibility of the contract; 11 s",
        for_tests: true,
        how: How::Npm("@bufbuild/buf"),
    },
    Tool {
        name: "wycheproof",
        version: "0.0.0-20260902155932-3fa63dd0344a",
        about: "published vectors of bad JSON web signatures; 5 s",
        for_tests: true,
        how: How::GoFiles {
            module: "github.com/c2sp/wycheproof",
            files: &["LICENSE", "testvectors_v1/json_web_signature_test.json"],
        },
    },
    Tool {
        name: "cargo-deny",
        version: "0.20.2",
        about: "licences, sources, versions of dependencies; 4 min",
        for_tests: true,
        how: How::Cargo,
    },
    Tool {
        name: "schemathesis",
        version: "4.32.5",
        about: "REST fuzzing from the OpenAPI, needs python3; 30 s",
        for_tests: true,
        how: How::Pip,
    },
    Tool {
        name: "cargo-fuzz",
        version: "0.13.2",
        about: "fuzzing, with a nightly tool chain; 30 s",
        for_tests: false,
        how: How::Cargo,
    },
    Tool {
        name: "grpcurl",
        version: "1.9.4",
        about: "gRPC from the command line; 80 s",
        for_tests: false,
        how: How::Go("github.com/fullstorydev/grpcurl/cmd/grpcurl"),
    },
    Tool {
        name: "jaeger",
        version: "1.76.0",
        about: "traces (Jaeger 2); 6 min",
        for_tests: false,
        how: How::GoModule { module: "github.com/jaegertracing/jaeger", package: "./cmd/jaeger" },
    },
    Tool {
        name: "cyclonus",
        version: "0.5.6",
        about: "independent analyser of NetworkPolicies; 95 s",
        for_tests: true,
        how: How::Go("github.com/mattfenwick/cyclonus/cmd/cyclonus"),
    },
    Tool {
        name: "kubectl-validate",
        version: "0.0.4",
        about: "manifests against the Kubernetes schemas; 3 min",
        for_tests: false,
        how: How::Go("sigs.k8s.io/kubectl-validate"),
    },
];

/// Installs the named tools, or those that the tests need.
pub(crate) fn run_tools(names: &[String]) -> Result<(), String> {
    if names.iter().any(|n| n == "list") {
        for tool in TOOLS {
            println!("{:18} {:8} {}", tool.name, tool.version, tool.about);
        }
        return Ok(());
    }
    for name in names {
        install(find(name)?)?;
    }
    if names.is_empty() { install_for_tests() } else { Ok(()) }
}

/// Installs what the tests need.
pub(crate) fn install_for_tests() -> Result<(), String> {
    TOOLS.iter().filter(|t| t.for_tests).try_for_each(install)
}

/// The program of an installed tool.
pub(crate) fn path(name: &str) -> Result<String, String> {
    let tool = find(name)?;
    let own = bin().join(tool.name);
    if own.exists() {
        return Ok(own.display().to_string());
    }
    if on_path(tool) {
        return Ok(tool.name.to_owned());
    }
    Err(format!("{name} is not installed; run `cargo xtask tools {name}`"))
}

fn install(tool: &Tool) -> Result<(), String> {
    if is_installed(tool) {
        return Ok(());
    }
    println!("installing {} {} ({})", tool.name, tool.version, tool.about);
    fs::create_dir_all(bin()).map_err(|e| format!("{}: {e}", bin().display()))?;
    match tool.how {
        How::Npm(package) => npm(tool, package)?,
        How::Cargo => {
            let folder = root().join(".tools");
            let (folder, version) = (folder.display().to_string(), format!("={}", tool.version));
            run(
                "cargo",
                &["install", "--quiet", "--locked", "--root", &folder, "--version", &version, tool.name],
            )?;
        }
        How::Pip => pip(tool)?,
        How::Go(package) => {
            let bin = bin().display().to_string();
            run_with("go", &["install", &format!("{package}@v{}", tool.version)], &[("GOBIN", &bin)])?;
        }
        How::GoModule { module, package } => go_module(tool, module, package)?,
        How::GoFiles { module, files } => go_files(tool, module, files)?,
        How::Debian { packages, .. } => return debian(packages),
    }
    fs::write(stamp(tool), tool.version).map_err(|e| e.to_string())
}

fn npm(tool: &Tool, package: &str) -> Result<(), String> {
    let folder = root().join(".tools/npm");
    let prefix = folder.display().to_string();
    let wanted = format!("{package}@{}", tool.version);
    run("npm", &["install", "--no-save", "--no-audit", "--no-fund", "--prefix", &prefix, &wanted])?;
    link(&folder.join("node_modules/.bin").join(tool.name), tool)
}

/// The folder of a downloaded module.
fn go_source(tool: &Tool, module: &str) -> Result<String, String> {
    let listed = output("go", &["mod", "download", "-json", &format!("{module}@v{}", tool.version)])?;
    let listed: serde_json::Value = serde_json::from_str(&listed).map_err(|e| e.to_string())?;
    let folder = listed.get("Dir").and_then(|d| d.as_str());
    Ok(folder.ok_or("go mod download gave no folder")?.to_owned())
}

fn go_files(tool: &Tool, module: &str, files: &[&str]) -> Result<(), String> {
    let (source, target) = (go_source(tool, module)?, root().join(".tools").join(tool.name));
    fs::create_dir_all(&target).map_err(|e| format!("{}: {e}", target.display()))?;
    for file in files {
        let from = Path::new(&source).join(file);
        let name = from.file_name().ok_or_else(|| format!("{file} is no file"))?;
        // By its bytes and not by copying: the module cache is read-only.
        let bytes = fs::read(&from).map_err(|e| format!("{}: {e}", from.display()))?;
        fs::write(target.join(name), bytes).map_err(|e| format!("{file}: {e}"))?;
    }
    Ok(())
}

fn pip(tool: &Tool) -> Result<(), String> {
    let folder = root().join(".tools/py").join(tool.name);
    let environment = folder.display().to_string();
    // Debian splits `venv` off; `virtualenv` does the same.
    run("python3", &["-m", "venv", &environment])
        .or_else(|_| run("python3", &["-m", "virtualenv", &environment]))
        .map_err(|e| format!("{e}; Python needs its module venv (python3-venv) or virtualenv"))?;
    let pip = folder.join("bin/pip").display().to_string();
    let wanted = format!("{}=={}", tool.name, tool.version);
    run(&pip, &["install", "--quiet", "--disable-pip-version-check", &wanted])?;
    link(&folder.join("bin").join(tool.name), tool)
}

/// Makes a program known in `.tools/bin`.
fn link(program: &Path, tool: &Tool) -> Result<(), String> {
    let link = bin().join(tool.name);
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(program, link).map_err(|e| e.to_string())
}

fn go_module(tool: &Tool, module: &str, package: &str) -> Result<(), String> {
    let source = go_source(tool, module)?;
    let copy = root().join(".tools/src").join(tool.name);
    let copy_text = copy.display().to_string();
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(root().join(".tools/src")).map_err(|e| e.to_string())?;
    run("cp", &["-r", &source, &copy_text])?;
    run("chmod", &["-R", "u+w", &copy_text])?;
    let target = bin().join(tool.name).display().to_string();
    run("go", &["-C", &copy_text, "build", "-o", &target, package])
}

fn debian(packages: &[&str]) -> Result<(), String> {
    let root_user = output("id", &["-u"])?.trim() == "0";
    let apt = |args: &[&str]| {
        let env = [("DEBIAN_FRONTEND", "noninteractive")];
        if root_user {
            return run_with("apt-get", args, &env);
        }
        let with_sudo: Vec<_> = std::iter::once("apt-get").chain(args.iter().copied()).collect();
        run_with("sudo", &with_sudo, &env)
    };
    apt(&["-qq", "update"])?;
    let args: Vec<_> = ["-qq", "install", "--yes", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied())
        .collect();
    apt(&args)
}

fn is_installed(tool: &Tool) -> bool {
    match tool.how {
        How::Debian { program, .. } => Path::new(program).exists(),
        _ => fs::read_to_string(stamp(tool)).is_ok_and(|v| v == tool.version) || on_path(tool),
    }
}

fn on_path(tool: &Tool) -> bool {
    let Ok(out) = Command::new(tool.name).arg("--version").output() else { return false };
    [out.stdout, out.stderr].iter().any(|text| String::from_utf8_lossy(text).contains(tool.version))
}

fn find(name: &str) -> Result<&'static Tool, String> {
    TOOLS
        .iter()
        .find(|t| t.name == name)
        .ok_or_else(|| format!("no tool {name:?}; see `cargo xtask tools list`"))
}

fn bin() -> PathBuf {
    root().join(".tools/bin")
}

fn stamp(tool: &Tool) -> PathBuf {
    root().join(".tools").join(format!("{}.version", tool.name))
}
