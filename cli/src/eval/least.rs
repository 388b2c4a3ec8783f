//! The least mean that is good enough.

use std::str::FromStr;

use quipu_jokes::eval::Scores;

/// Of one score, or of all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Least {
    name: Option<&'static str>,
    mean: f64,
}

impl FromStr for Least {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, mean) = match text.split_once('=') {
            Some((name, mean)) => {
                let known = Scores::NAMES.into_iter().find(|known| *known == name);
                let names = || format!("{name:?} is no score; there are {}", Scores::NAMES.join(", "));
                (Some(known.ok_or_else(names)?), mean)
            }
            None => (None, text),
        };
        let mean = mean.parse().ok().filter(|mean| (0.0..=1.0).contains(mean));
        Ok(Self { name, mean: mean.ok_or("must be a number from 0 to 1")? })
    }
}

impl Least {
    /// What is below it. A score that nothing has is, too.
    pub(super) fn missed(&self, means: &Scores) -> Vec<String> {
        let mine = means.named().into_iter().filter(|(name, _)| self.name.is_none_or(|mine| mine == *name));
        mine.filter_map(|(name, mean)| match mean {
            Some(mean) if mean >= self.mean => None,
            Some(mean) => Some(format!("the mean of {name} is {mean:.3}, less than {}", self.mean)),
            None => Some(format!("nothing has a score for {name}")),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_one_score_or_of_all() {
        let means = Scores { schema: Some(1.0), guard: Some(0.5), length: None, ..Scores::default() };
        let missed = |text: &str| text.parse::<Least>().unwrap().missed(&means);
        assert!(missed("schema=1").is_empty());
        assert_eq!(missed("guard=0.75"), ["the mean of guard is 0.500, less than 0.75"]);
        assert_eq!(missed("length=0"), ["nothing has a score for length"]);
        assert_eq!(missed("0.6").len(), 4);
        for bad in ["", "2", "-1", "NaN", "speed=1", "schema=", "=1"] {
            assert!(bad.parse::<Least>().is_err(), "{bad}");
        }
    }
}
