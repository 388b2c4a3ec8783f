//! `quipu up`, as its user sees it.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};

use mesh_config::{EXIT_CONFIG, Reader};
use mesh_error::chain;
use mesh_lifecycle::{Drain, Lifecycle};
use mesh_telemetry::{Telemetry, TelemetryConfig};
use quipu::up::{LocalMesh, Options, Part};
use quipu_jokes::{ModelsConfig, ObservedConfig};

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Folder of everything that is kept.
    #[arg(long, default_value = ".quipu")]
    data: PathBuf,
    /// Address of the REST gateway.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Policy file, reloaded when it changes [default: the built-in policy].
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Sentiment models beside the embedded one: NAME=PATH[#sha256], separated by commas.
    #[arg(long)]
    sentiment_models: Option<String>,
    /// Let the services take any free port instead of the usual ones.
    #[arg(long)]
    free_ports: bool,
    /// Show what happens.
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(args: &UpArgs) -> ExitCode {
    let began = Instant::now();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&e.to_string()),
    };
    runtime.block_on(async {
        let settings = match settings(args.verbose) {
            Ok(settings) => settings,
            Err((code, message)) => {
                eprint!("error: {message}");
                return ExitCode::from(code);
            }
        };
        let telemetry = settings.telemetry.clone();
        let code = Box::pin(serve(args, settings, began)).await;
        telemetry.shutdown(Drain::default().flush).await;
        code
    })
}

async fn serve(args: &UpArgs, settings: Settings, began: Instant) -> ExitCode {
    let Settings { telemetry, joke_models, observed } = settings;
    let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
    if let Err(e) = lifecycle.trap_signals() {
        return fail(&e.to_string());
    }
    let options = Options {
        data: args.data.clone(),
        listen: args.listen,
        policy: args.policy.clone(),
        free_ports: args.free_ports,
        sentiment_models: args.sentiment_models.clone(),
        joke_models,
        observed,
        recent_traces: telemetry.recent(),
    };
    let mesh = match LocalMesh::start(&options, &lifecycle).await {
        Ok(mesh) => mesh,
        Err(e) => return fail(&chain(&e)),
    };
    let text = greeting(&mesh, &options);
    mesh.serve(&lifecycle);
    if ready(&lifecycle).await {
        println!(
            "Quipu is ready after {} ms; data in {}\n",
            began.elapsed().as_millis(),
            args.data.display()
        );
        print!("{text}");
    }
    let outcome = lifecycle.run_to_completion().await;
    println!("stopped");
    outcome.into()
}

/// What is read from the environment.
struct Settings {
    telemetry: Telemetry,
    joke_models: ModelsConfig,
    observed: ObservedConfig,
}

/// Telemetry, the language models (`OPENAI_BASE_URL`, `OPENAI_API_KEY`, `QUIPU_JOKES_*`), and where their answers are observed
/// (`OPIK_*`).
fn settings(verbose: bool) -> Result<Settings, (u8, String)> {
    let mut reader = Reader::from_env();
    let (config, models) = (TelemetryConfig::read(&mut reader), ModelsConfig::read(&mut reader));
    let (Ok(mut config), Ok(joke_models), Ok(observed)) = (config, models, ObservedConfig::read(&mut reader))
    else {
        return Err((EXIT_CONFIG, faults(reader)));
    };
    config.recent_spans = RECENT_SPANS;
    if !verbose && config.filter == TelemetryConfig::default().filter {
        "warn".clone_into(&mut config.filter);
    }
    let sinks = observed.sinks().map_err(|e| (1, format!("{}\n", chain(&e))))?;
    let telemetry = Telemetry::init_with("quipu", &config, sinks);
    let telemetry = telemetry.map_err(|e| (1, format!("{}\n", chain(&e))))?;
    Ok(Settings { telemetry, joke_models, observed })
}

fn faults(reader: Reader) -> String {
    reader.finish().err().map(|f| f.to_string()).unwrap_or_default()
}

/// Spans kept in memory for `GET /v1/traces`: some hundred requests.
const RECENT_SPANS: usize = 2000;

fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}

/// Waits until every service can do its work, or until the mesh ends before that.
async fn ready(lifecycle: &Lifecycle) -> bool {
    let mut readiness = lifecycle.readiness().subscribe();
    tokio::select! {
        ready = readiness.wait_for(|ready| *ready) => ready.is_ok(),
        () = lifecycle.draining() => false,
    }
}

/// The table that a person needs to go on.
fn greeting(mesh: &LocalMesh, options: &Options) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for Part { name, address, admin } in mesh.parts() {
        let protocol = if *name == "gateway" { "http" } else { "grpc" };
        let _ = writeln!(text, "  {name:<10} {protocol} {address:<22} admin http {admin}");
    }
    if let Some((email, password)) = mesh.first_admin() {
        let _ =
            write!(text, "\nThe first administrator, shown only now:\n  {email}  {}\n", password.expose());
    }
    let rest = mesh.part("gateway").map_or(options.listen, |p| p.address);
    let certs = mesh.operator_identity().display();
    let _ = write!(
        text,
        r#"
Try it over REST (more at http://{rest}/docs):
  curl -s http://{rest}/v1/auth/register -H 'content-type: application/json' -d '{{"email":"ada@example.com","password":"correct horse battery"}}'
  TOKEN=$(curl -s http://{rest}/v1/auth/login -H 'content-type: application/json' -d '{{"email":"ada@example.com","password":"correct horse battery"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s http://{rest}/v1/sentiment -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"text":"What a lovely day!","explain":true}}'
  curl -sN http://{rest}/v1/jokes -H "authorization: Bearer $TOKEN" -H 'accept: text/event-stream' -H 'content-type: application/json' -d '{{"topic":"cats"}}'
"#
    );
    if let Some(Part { address, .. }) = mesh.part("sentiment") {
        let _ = write!(
            text,
            r#"
Or over gRPC, as an operator:
  grpcurl -cacert {certs}/ca.crt -cert {certs}/operator.crt -key {certs}/operator.key -d '{{"text":"What a lovely day!"}}' {address} quipu.sentiment.v1.SentimentService/Analyze
"#
        );
    }
    text.push_str("\nCtrl-C stops it.\n");
    text
}
