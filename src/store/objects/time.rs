//! Times as lists and metadata have them: RFC 3339.

use std::time::{Duration, SystemTime};

const SECONDS_PER_DAY: i64 = 86_400;

/// The second of a time such as `2026-11-24T12:13:58.123Z`, from 1970 on. What is finer is left away: downloads tell no
/// more, and one object should have one time.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (time, offset) = split_offset(time)?;
    let [year, month, day] = numbers(date, '-')?;
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    let [hour, minute, second] = numbers(time, ':')?;
    let is_right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    let seconds = u64::try_from(seconds).ok().filter(|_| is_right)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A time of the day, and the seconds by which its clock is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let (time, offset) = time.split_at_checked(time.rfind(['+', '-'])?)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let [hour, minute] = numbers(&offset[1..], ':')?;
    Some((time, sign * (hour * 3600 + minute * 60)))
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let parse = |part: &str| {
        let is_number = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let numbers: Option<Vec<i64>> = text.split(separator).map(parse).collect();
    numbers?.try_into().ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that a leap day is the
/// last of its year; 153 days are five months from March on.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_second() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59.999Z", Some(951_868_799)),
            ("2026-11-24T12:13:58.482317Z", Some(1_795_522_438)),
            ("2026-11-24T12:13:58+00:00", Some(1_795_522_438)),
            ("2026-11-24T14:13:58.1+02:00", Some(1_795_522_438)),
            ("2026-11-24T08:43:58-03:30", Some(1_795_522_438)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:60Z", Some(253_402_300_800)),
            ("1969-12-31T23:59:59Z", None),
            ("2026-13-24T12:13:58Z", None),
            ("2026-11-32T12:13:58Z", None),
            ("2026-11-24T24:00:00Z", None),
            ("2026-11-24T12:13:58", None),
            ("2026-11-24 12:13:58Z", None),
            ("2026-11-24T12:13Z", None),
            ("20261-11-24T12:13:58Z", None),
            ("+026-11-24T12:13:58Z", None),
            ("2026-11-24T12:13:58+ü", None),
            ("T", None),
            ("", None),
        ] {
            let expected = expected.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = days(1970, 1, 1);
        assert_eq!(expected, 0);
        for year in 1970..2410 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, n_days) in (1..).zip([31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for day in 1..=n_days {
                    assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }
}
