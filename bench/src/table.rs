//! The table of a run, and its place in the README.

use std::{fmt::Write as _, fs, path::Path};

use crate::{Result, rows::Row};

/// Where the table of the last run stands, and between which lines.
const README: &str = "README.md";
const BEGIN: &str = "<!-- table: begin -->";
const END: &str = "<!-- table: end -->";

/// The rows in Markdown, with a note on the machine.
#[must_use]
pub fn render(rows: &[Row]) -> String {
    let mut text = format!(
        "{}\n\n| row | figure | limit | holds | from |\n| --- | ---: | ---: | --- | --- |\n",
        machine()
    );
    for Row { what, figure, limit, within, unit, from } in rows {
        let holds = if *within { "yes" } else { "**no**" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {what} | {figure:.2}{unit} | {limit} | {holds} | {from} |");
    }
    text
}

/// The processors, the memory and the system.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let (cpu, memory) = (read("/proc/cpuinfo"), value(&read("/proc/meminfo"), "MemTotal"));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = memory.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let system = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} × {}, {memory} GiB, Linux {}; generator and targets on the same machine.",
        value(&cpu, "model name"),
        system.trim()
    )
}

/// Writes the table into the README.
///
/// # Errors
/// When its lines are missing there.
pub fn write(table: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(README);
    let page = fs::read_to_string(&path)?;
    let missing = || format!("{README}: the lines {BEGIN} and {END} are missing");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    fs::write(&path, format!("{before}{BEGIN}\n{table}{END}{after}"))?;
    Ok(())
}
