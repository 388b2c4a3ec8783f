//! Numbers that belong to a person: cards, bank accounts, social security numbers, telephones.
//!
//! No number reaches over the end of a sentence: its groups stand apart by one blank, hyphen, stroke or full stop, and a
//! full stop has no blank behind it.

use regex::Regex;

/// Lengths of account numbers by country (SWIFT's registry of IBANs).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 \
    EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 \
    LC32 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 \
    SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20";

/// What looks like a telephone number: international, North American, or national with a trunk zero (Germany, the United
/// Kingdom, France).
pub(super) const PHONE: &str = r"(?x-u)
    (?: \+ | \b00 ) [1-9] (?: [\ ./-]? \(? [0-9] \)? ){8,13} \b
  | (?: \b | \( ) [2-9][0-9]{2} (?: \)\ ? | [-.\ ] ) [2-9][0-9]{2} [-.\ ] [0-9]{4} \b
  | \b 0[1-9][0-9]{1,3} \ ? [/-] \ ? [0-9]{3,4} (?: [\ -]? [0-9]{2,5} ){0,2} \b
  | \b 01[5-7][0-9] [\ ]? [0-9]{7,8} \b
  | \b 07[0-9]{3} [\ ]? [0-9]{6} \b
  | \b 0[1-9] (?: [\ .][0-9]{2} ){4} \b";

/// Where an account number may begin, and a social security number.
const IBAN: &str = r"(?i-u)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]){11,30}";
const SSN: &str = r"(?-u)\b([0-9]{3})([- ])([0-9]{2})([- ])([0-9]{4})\b";
/// Groups of digits in a row.
const GROUPS: &str = r"(?-u)\b[0-9]{3,19}(?:[ -][0-9]{3,19}){0,63}\b";

/// The rules, compiled.
#[derive(Debug)]
pub(super) struct Numbers {
    iban: Regex,
    ssn: Regex,
    groups: Regex,
}

impl Numbers {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self { iban: Regex::new(IBAN)?, ssn: Regex::new(SSN)?, groups: Regex::new(GROUPS)? })
    }

    /// The rule that a text breaks.
    pub(super) fn judge(&self, text: &str) -> Option<&'static str> {
        if !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if self.groups.find_iter(text).any(|found| holds_card(found.as_str())) {
            return Some("personal_data.card");
        }
        if self.iban.find_iter(text).any(|found| is_iban(found.as_str())) {
            return Some("personal_data.iban");
        }
        self.ssn.captures_iter(text).any(|parts| is_ssn(&parts)).then_some("personal_data.ssn")
    }
}

/// Whether neighbouring groups are a card number: one group of 13 to 19 digits, or 3 to 5 groups as on a card.
fn holds_card(text: &str) -> bool {
    let groups: Vec<&str> = text.split([' ', '-']).collect();
    (0..groups.len()).any(|from| {
        let mut digits = String::new();
        groups.iter().skip(from).take(5).enumerate().any(|(count, group)| {
            digits.push_str(group);
            let shaped = count != 1 && (count == 0 || group.len() <= 6);
            shaped && (13..=19).contains(&digits.len()) && is_card(&digits)
        })
    })
}

/// A number of the card schemes (ISO/IEC 7812) whose last digit is the check digit.
fn is_card(digits: &str) -> bool {
    let issuer: u32 = digits.get(..4).and_then(|first| first.parse().ok()).unwrap_or(0);
    if !(3000..7000).contains(&issuer) && !(2221..=2720).contains(&issuer) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| match (place % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The check of ISO 13616: the number, its first four characters moved behind, letters as 10 to 35, leaves 1 over 97. What
/// comes after the length of the country's numbers does not belong to it.
fn is_iban(text: &str) -> bool {
    let chars: Vec<char> = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
    let country: String = chars.iter().take(2).collect();
    let length = IBAN_LENGTHS.split_ascii_whitespace().find_map(|entry| entry.strip_prefix(country.as_str()));
    let Some(length) = length.and_then(|length| length.parse::<usize>().ok()) else { return false };
    let Some(number) = chars.get(..length) else { return false };
    let moved = number.iter().skip(4).chain(number.iter().take(4));
    let rest = moved.fold(0, |rest, c| match c.to_digit(36) {
        Some(value) if value > 9 => (rest * 100 + value) % 97,
        Some(value) => (rest * 10 + value) % 97,
        None => rest,
    });
    rest == 1
}

/// Numbers that were given out, by the ranges of the Social Security Administration; both signs between are alike.
fn is_ssn(parts: &regex::Captures<'_>) -> bool {
    let part = |place: usize| parts.get(place).map_or("", |part| part.as_str());
    let area = part(1);
    part(2) == part(4)
        && !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && part(3) != "00"
        && part(5) != "0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_decide() {
        let numbers = Numbers::new().unwrap();
        for (text, rule) in [
            ("pay 4111 1111 1111 1111 now", Some("personal_data.card")),
            ("5500-0000-0000-0004", Some("personal_data.card")),
            ("378282246310005", Some("personal_data.card")),
            ("1234 4111 1111 1111 1111", Some("personal_data.card")),
            ("4111 1111 1111 1112", None),
            ("ISBN 978-3-16-148410-0", None),
            ("DE89 3704 0044 0532 0130 00 is mine", Some("personal_data.iban")),
            ("gb82west12345698765432", Some("personal_data.iban")),
            ("DE88 3704 0044 0532 0130 00", None),
            ("078-05-1120", Some("personal_data.ssn")),
            ("000-12-3456, 666-12-3456, 2020-10-1234", None),
            ("99 bottles, 1000000 sheep, 1999 2000 2001 2002", None),
        ] {
            assert_eq!(numbers.judge(text), rule, "{text}");
        }
    }

    #[test]
    fn telephones_are_known_by_their_shape() {
        let phone = Regex::new(PHONE).unwrap();
        for text in [
            "+49 30 901820",
            "+1 (555) 234-5678",
            "0049 171 1234567",
            "(555) 234-5678",
            "555.234.5678",
            "030/901820",
            "0171 1234567",
            "07700 900123",
            "01 42 68 53 00",
        ] {
            assert!(phone.is_match(text), "{text}");
        }
        for text in [
            "+1 000 000 likes",
            "in 1999. 2000 people",
            "10-15 cats",
            "0.12345",
            "007",
            "3.14159265358979",
            "24/7",
        ] {
            assert!(!phone.is_match(text), "{text}");
        }
    }
}
