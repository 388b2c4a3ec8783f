//! A report as text.

use std::fmt;

use super::Report;
use super::figures::Figures;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = &self.model;
        let micros = self.per_text.as_secs_f64() * 1e6;
        writeln!(
            f,
            "model {} {} ({}), sha256 {}",
            model.name,
            model.version,
            model.backend.name(),
            model.sha256
        )?;
        writeln!(f, "{} texts of {}, {micros:.1} us per text on one thread", self.total.texts, self.file)?;
        writeln!(f)?;
        let width =
            self.sources.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("source".len());
        writeln!(
            f,
            "{:width$}   texts  accuracy  macro-F1    ECE  pos/neg accuracy  pos/neg ECE  r with ratings",
            "source"
        )?;
        for (name, figures) in &self.sources {
            row(f, width, name, figures)?;
        }
        row(f, width, "all", &self.total)?;
        if let Some(balanced) = self.balanced {
            writeln!(f, "mean over each source and label of the share of right answers: {balanced:.3}")?;
        }
        writeln!(f)?;
        writeln!(f, "class       texts  precision  recall     F1")?;
        for class in &self.total.classes {
            writeln!(
                f,
                "{:9} {:7}  {:9.3}  {:6.3}  {:5.3}",
                class.label, class.texts, class.precision, class.recall, class.f1
            )?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, width: usize, name: &str, figures: &Figures) -> fmt::Result {
    let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    writeln!(
        f,
        "{name:width$} {:7}  {:8.3}  {:8.3}  {:5.3}  {:>16}  {:>11}  {:>14}",
        figures.texts,
        figures.accuracy,
        figures.macro_f1,
        figures.ece,
        or_dash(figures.polarity_accuracy),
        or_dash(figures.polarity_ece),
        or_dash(figures.rating_correlation),
    )
}
