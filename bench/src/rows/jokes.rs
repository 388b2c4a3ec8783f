//! What a joke costs beside the call to its model: the time that the mesh adds, how many it holds at once, how soon the first
//! sentence is there, and processor time. Always in turns with the same call made directly at the provider.

use super::{
    Plan, Row, median, sound, spread,
    stage::{Mark, Stage},
};
use crate::{Result, load::Measured};

/// Whoever waits alone waits for nobody else's work.
const ONE: usize = 1;

/// Callers of a closed loop that keeps the machine busy, as in the other rows.
const MANY: usize = 64;

/// Jokes under way at once, as many as one service admits.
const HELD: usize = 256;

/// What a model says whose first piece is a whole sentence and the blank after it: the guards let go of a sentence when they
/// see that it is over.
const TOLD: &str = r#"{"setup":"Why did the packet cross the mesh? It had somewhere to be.","punchline":"It had a valid certificate."}"#;

/// Bytes of its pieces, and the milliseconds between them: who waits for the second piece is seen.
const PIECES: [&str; 4] = ["--chunk", "48", "--pace-ms", "5"];

/// The end of the sentence, in the first event of text and in the first piece of content.
const SENTENCE: Mark = Mark {
    mesh: br#"event: delta
data: {"text":"Why did the packet cross the mesh?"#,
    provider: br#"{"content":"{\"setup\":\"Why did the packet cross the mesh?"#,
};

/// Turns of the mesh and of the provider.
struct Rounds(Vec<(Measured, Measured)>);

impl Rounds {
    async fn of(stage: &Stage, plan: &Plan, callers: usize, mark: Option<&'static Mark>) -> Result<Self> {
        let mut all = Vec::new();
        for _ in 0..plan.rounds {
            let mesh = sound(stage.mesh(callers, plan.times, mark).await?)?;
            all.push((mesh, sound(stage.provider(callers, plan.times, mark).await?)?));
        }
        Ok(Self(all))
    }

    /// The medians of both.
    fn medians(&self, value: impl Fn(&Measured) -> f64) -> (f64, f64) {
        let of = |side: fn(&(Measured, Measured)) -> &Measured| {
            median(self.0.iter().map(|pair| value(side(pair))))
        };
        (of(|pair| &pair.0), of(|pair| &pair.1))
    }

    /// How much later the mesh answers half of the calls, in milliseconds; the same in words.
    fn added(&self) -> (f64, String) {
        let added: Vec<_> = self.0.iter().map(|(mesh, own)| millis(mesh, 50.0) - millis(own, 50.0)).collect();
        let ((p50, own50), (p99, own99)) =
            (self.medians(|m| millis(m, 50.0)), self.medians(|m| millis(m, 99.0)));
        let spread = spread(added.iter().copied());
        let from =
            format!("p50 {p50:.2} against {own50:.2} ms ({spread}), p99 {p99:.2} against {own99:.2} ms");
        (median(added), from)
    }
}

fn millis(measured: &Measured, percent: f64) -> f64 {
    measured.percentile(percent) / 1000.0
}

/// A provider that answers at once: the time that the mesh adds to one call, and what many cost.
pub(super) async fn instant(plan: &Plan) -> Result<Vec<Row>> {
    let stage = Stage::start(&[]).await?;
    let (alone, sync) = (Rounds::of(&stage, plan, ONE, None).await?, stage.fdatasync()?);
    let (added, from) = alone.added();
    let limit = ((sync + 2.0) * 100.0).round() / 100.0;
    let from = format!("{from}; a fdatasync is {sync:.2} ms");
    let added = Row::most("jokes: added to an instant provider, p50", added, limit, " ms", from);
    Ok(vec![added, processor(&Rounds::of(&stage, plan, MANY, None).await?)])
}

/// Processor time of a joke.
fn processor(many: &Rounds) -> Row {
    let each = |place: usize| many.medians(|m| m.each.get(place).copied().unwrap_or_default());
    let [auth, sentiment, jokes, gateway, postgres, asked] = [0, 1, 2, 3, 4, 5].map(|place| each(place).0);
    let (own, _) = many.medians(|m| m.each.iter().take(4).sum());
    let (direct, (rate, direct_rate)) = (many.medians(|m| m.cpu).1, many.medians(|m| m.rate));
    let from = format!(
        "gateway {gateway:.0}, jokes {jokes:.0}, sentiment {sentiment:.0}, auth {auth:.0}; Postgres {postgres:.0}, the provider {asked:.0}, \
         asked directly {direct:.0}; {rate:.0} against {direct_rate:.0} a second"
    );
    Row::most("jokes: processor time of a joke", own, 1000.0, " µs", from)
}

/// Many at once at a provider that takes its time: does the mesh hold as many as are asked for?
pub(super) async fn held(plan: &Plan) -> Result<Row> {
    let stage = Stage::start(&["--delay-ms", "300"]).await?;
    let rounds = Rounds::of(&stage, plan, HELD, None).await?;
    let ratios: Vec<_> = rounds.0.iter().map(|(mesh, own)| mesh.rate / own.rate).collect();
    let ((rate, own), (_, from)) = (rounds.medians(|m| m.rate), rounds.added());
    let from = format!("{rate:.0} against {own:.0} a second ({}); {from}", spread(ratios.iter().copied()));
    Ok(Row::least(format!("jokes: {HELD} at once at a provider of 300 ms"), median(ratios), 0.9, "×", from))
}

/// The first sentence of a joke that is told while it is made.
pub(super) async fn first_event(plan: &Plan) -> Result<Row> {
    let stage = Stage::start(&[&["--text", TOLD], PIECES.as_slice()].concat()).await?;
    let (added, from) = Rounds::of(&stage, plan, ONE, Some(&SENTENCE)).await?.added();
    Ok(Row::most("jokes: first sentence of a stream, added p50", added, 1.0, " ms", from))
}
