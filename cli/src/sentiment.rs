//! `quipu sentiment`: what a model is worth, on one's own data.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Subcommand;
use mesh_error::chain;
use quipu_sentiment::{
    models::{self, ModelList, SharedModel},
    report::report,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print accuracy, macro-F1, calibration and speed of a model on a labelled file.
    ///
    /// The file has one text a line, plain or gzipped: LABEL<tab>TEXT, or SOURCE<tab>LABEL<tab>RATING<tab>TEXT; labels are
    /// positive, neutral, negative or 1, 0, -1.
    Report {
        /// The labelled file.
        file: PathBuf,
        /// A model file or a folder with an ONNX export, as PATH[#sha256] [default: the embedded model].
        #[arg(long)]
        model: Option<String>,
    },
}

pub(crate) fn run(command: Command) -> Result<(), String> {
    let Command::Report { file, model } = command;
    let model = load(model.as_deref())?;
    let mut shown = 0;
    let progress = |done: usize, of: usize| {
        let percent = done * 100 / of.max(1);
        if percent != shown && std::io::stderr().is_terminal() {
            shown = percent;
            eprint!("\r{percent:3} %");
            // Progress is a courtesy; a closed terminal does not matter.
            let _ = std::io::stderr().flush();
        }
    };
    let report = report(model.as_ref(), &file, progress).map_err(|e| chain(&e))?;
    if std::io::stderr().is_terminal() {
        eprint!("\r      \r");
    }
    print!("{report}");
    Ok(())
}

fn load(path: Option<&str>) -> Result<SharedModel, String> {
    let Some(path) = path else { return models::embedded().map_err(|e| chain(&e)) };
    let list: ModelList = format!("model={path}").parse()?;
    let spec = list.0.first().ok_or("--model: no path")?;
    models::load(spec).map_err(|e| chain(&e))
}
