//! Following what an operator may change beside a running process: certificates, the policy, whatever lies in files.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The shortest interval between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// Looks each `every` until `stop`, and hands over what two looks in a row find alike, so that a file which is just being
/// written does not count by halves. `take` sees it again at each further look: whoever wants news only compares.
///
/// To look is to read the content, not to wait for file events: that is right for a Kubernetes volume (which swaps a
/// link above the file), for an editor (which renames), for a plain copy and for network file systems alike.
pub async fn follow<T, L>(
    every: Duration,
    stop: CancellationToken,
    mut look: impl FnMut() -> L,
    mut take: impl FnMut(&T),
) where
    T: PartialEq,
    L: Future<Output = T>,
{
    let mut ticks = interval(every.max(SHORTEST));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let found = look().await;
        if last.as_ref() == Some(&found) {
            take(&found);
        }
        last = Some(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_only_one_look_found_does_not_count() {
        let stop = CancellationToken::new();
        let mut contents = ["old", "old", "torn", "new", "new", "new", ""].into_iter();
        let mut taken = Vec::new();
        let look = || {
            let found = contents.next();
            if found.is_none() {
                stop.cancel();
            }
            std::future::ready(found)
        };
        follow(Duration::from_secs(1), stop.clone(), look, |found| taken.push(*found)).await;
        assert_eq!(taken, [Some("old"), Some("new"), Some("new")]);
    }
}
