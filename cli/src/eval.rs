//! `quipu eval`: what a language model is worth as a teller of jokes, on one's own topics.

mod least;
mod opik;
mod table;

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use async_trait::async_trait;
use clap::ValueEnum;
use mesh_config::{EXIT_CONFIG, Reader};
use mesh_error::chain;
use mesh_opik::OpikConfig;
use quipu_jokes::{
    domain::{Audience, Language, Length, Params, Sentiment, Style, Temperature},
    eval::{Case, EvalConfig, Evaluator, MAX_ROWS, Plan, Report},
    ports::Feelings,
};
use quipu_sentiment::models::{self, SharedModel};
use tokio::signal::unix::{SignalKind, signal};

use self::least::Least;

/// No file of topics is longer.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// By custom, of a program that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
pub(crate) struct EvalArgs {
    /// Topics, one a line, or one joke request as JSON a line; # begins a comment, - is standard input.
    file: PathBuf,
    /// Name of the model [default: the service's].
    #[arg(long)]
    model: Option<String>,
    /// Kind of joke where a line names none: pun, one_liner, knock_knock, riddle, dad, observational.
    #[arg(long, default_value = "pun")]
    style: Style,
    /// Language where a line names none, by BCP 47.
    #[arg(long, default_value = "en", value_parser = Language::parse)]
    language: Language,
    /// Length where a line names none: short, medium, long.
    #[arg(long, default_value = "medium")]
    length: Length,
    /// For whom the jokes are, where a line does not say.
    #[arg(long, value_parser = Audience::parse)]
    audience: Option<Audience>,
    /// 0 to 2, where a line names none [default: the model's].
    #[arg(long, value_parser = temperature)]
    temperature: Option<Temperature>,
    /// Makes a model that knows seeds answer alike; grows by one with each round.
    #[arg(long)]
    seed: Option<u32>,
    /// How often each topic is told.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    repeat: u32,
    /// Jokes at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// File to write to, in place of standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Least mean, from 0 to 1, of all scores or of one: 0.8, or schema=1,sentiment=0.5.
    #[arg(long, value_name = "[NAME=]MEAN", value_delimiter = ',')]
    min_score: Vec<Least>,
    /// Send it as an experiment to Opik (OPIK_URL_OVERRIDE, OPIK_API_KEY, OPIK_WORKSPACE, OPIK_PROJECT_NAME).
    #[arg(long)]
    opik: bool,
    /// Name of the experiment [default: the model and the time].
    #[arg(long, requires = "opik")]
    experiment: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Everything that can be wrong before the first joke.
struct Prepared {
    evaluator: Evaluator,
    cases: Vec<Case>,
    opik: Option<OpikConfig>,
}

pub(crate) fn run(args: &EvalArgs) -> ExitCode {
    let prepared = match prepare(args) {
        Ok(prepared) => prepared,
        Err(message) => return fail(EXIT_CONFIG, &message),
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(evaluate(args, &prepared)),
        Err(e) => fail(1, &e.to_string()),
    }
}

fn prepare(args: &EvalArgs) -> Result<Prepared, String> {
    let (config, opik) = settings(args.opik)?;
    if args.opik && opik.is_none() {
        return Err("--opik: set OPIK_URL_OVERRIDE or OPIK_API_KEY".to_owned());
    }
    let feelings = Lexicon(models::embedded().map_err(|e| chain(&e))?);
    let name = args.model.as_deref().unwrap_or_default();
    let evaluator = Evaluator::new(&config, name, Arc::new(feelings)).map_err(|e| chain(&e))?;
    let shown = shown(&args.file);
    let text = read(&args.file).map_err(|what| format!("{shown}: {what}"))?;
    let cases = evaluator.cases(&text, &args.params()).map_err(|faults| {
        faults.iter().map(|fault| format!("{shown}:{fault}")).collect::<Vec<_>>().join("\n       ")
    })?;
    let rows = cases.len().saturating_mul(usize::try_from(args.repeat).unwrap_or(usize::MAX));
    if rows > MAX_ROWS {
        return Err(format!("--repeat: {rows} jokes are more than {MAX_ROWS}"));
    }
    if let Some(out) = &args.out {
        // Before anything is paid for, and without taking away what may be there.
        let opened = fs::OpenOptions::new().append(true).create(true).open(out);
        opened.map_err(|e| format!("--out: {}: {e}", out.display()))?;
    }
    Ok(Prepared { evaluator, cases, opik })
}

fn settings(with_opik: bool) -> Result<(EvalConfig, Option<OpikConfig>), String> {
    let mut reader = Reader::from_env();
    let config = EvalConfig::read(&mut reader);
    let opik = if with_opik { OpikConfig::read(&mut reader) } else { Ok(None) };
    match (config, opik) {
        (Ok(config), Ok(opik)) => Ok((config, opik)),
        _ => Err(reader.finish().err().map(|f| f.to_string()).unwrap_or_default()),
    }
}

async fn evaluate(args: &EvalArgs, prepared: &Prepared) -> ExitCode {
    let Prepared { evaluator, cases, opik } = prepared;
    let plan = Plan { rounds: args.repeat, parallel: usize::from(args.parallel) };
    let report = evaluator.run(cases, plan, stopped(), progress).await;
    if io::stderr().is_terminal() {
        eprint!("\r                    \r");
    }
    let text = match args.format {
        Format::Table => table::table(&report),
        Format::Json => format!("{:#}\n", report.to_json()),
    };
    if let Err(message) = write(args.out.as_deref(), &text) {
        return fail(1, &message);
    }
    if !report.is_complete() {
        let message = format!("stopped after {} of {} jokes", report.rows.len(), report.planned);
        return fail(EXIT_INTERRUPTED, &message);
    }
    let mut faults = faults(args, &report);
    if let Some(config) = opik {
        let stem = args.file.file_stem().filter(|_| !is_stdin(&args.file));
        let dataset = format!("jokes-{}", stem.map_or("stdin".into(), |name| name.to_string_lossy()));
        let sent = tokio::select! {
            sent = opik::send(config, &report, &dataset, args.experiment.as_deref()) => sent,
            () = stopped() => Err("stopped while it was sent to Opik".to_owned()),
        };
        match sent {
            Ok(said) => eprintln!("{said}"),
            Err(message) => faults.push(message),
        }
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { fail(1, &faults.join("\n       ")) }
}

/// What keeps a complete run from being a success.
fn faults(args: &EvalArgs, report: &Report) -> Vec<String> {
    let failed = report.failed();
    let of_rows = (failed > 0).then(|| format!("{failed} of {} jokes were not told", report.rows.len()));
    of_rows.into_iter().chain(args.min_score.iter().flat_map(|least| least.missed(&report.means))).collect()
}

impl EvalArgs {
    fn params(&self) -> Params {
        Params {
            style: self.style,
            audience: self.audience.clone().unwrap_or_default(),
            language: self.language.clone(),
            length: self.length,
            temperature: self.temperature,
            seed: self.seed,
        }
    }
}

/// The embedded model of the sentiment service.
struct Lexicon(SharedModel);

#[async_trait]
impl Feelings for Lexicon {
    async fn of(&self, text: &str) -> Option<Sentiment> {
        let analysis = self.0.analyze(text, false).ok()?;
        let label = analysis.probabilities.label().name().to_owned();
        Some(Sentiment { label, score: analysis.probabilities.score() })
    }
}

fn temperature(text: &str) -> Result<Temperature, String> {
    Temperature::parse(text.parse().map_err(|_| "must be a number".to_owned())?)
}

fn shown(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if is_stdin(file) {
        io::stdin().take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|e| e.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(format!("is longer than {MOST_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|fault| {
        let before = fault.as_bytes().iter().take(fault.utf8_error().valid_up_to());
        format!("{}: is no UTF-8", before.filter(|byte| **byte == b'\n').count() + 1)
    })
}

fn write(file: Option<&Path>, text: &str) -> Result<(), String> {
    match file {
        Some(path) => {
            fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
            eprintln!("wrote {}", path.display());
            Ok(())
        }
        None => io::stdout().write_all(text.as_bytes()).map_err(|e| format!("standard output: {e}")),
    }
}

fn progress(done: usize, of: usize) {
    if io::stderr().is_terminal() {
        eprint!("\r{done}/{of}");
        // Progress is a courtesy; a closed terminal does not matter.
        let _ = io::stderr().flush();
    }
}

/// Returns when somebody wants it to end.
async fn stopped() {
    let one = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => signals.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = one(SignalKind::interrupt()) => {}
        _ = one(SignalKind::terminate()) => {}
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("error: {}", message.trim_end());
    ExitCode::from(code)
}
