//! `strftime_now`: Python's `strftime`, in English whatever the machine's language.

use super::budget::Budget;
use super::fault::Outcome;

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The time on the wall, as the caller's clock shows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Microseconds since 1970-01-01 00:00 on that clock.
    pub local_micros: i64,
    /// How far that clock is ahead of UTC.
    pub offset_seconds: i64,
}

struct Date {
    year: i64,
    month: usize,
    day: i64,
    /// From Sunday.
    weekday: i64,
    /// From 0.
    yearday: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

#[derive(Default)]
struct Field {
    pad: Option<char>,
    upper: bool,
    swap: bool,
    width: usize,
}

impl Now {
    /// A number that is another one each time.
    pub fn noise(&self) -> u64 {
        (self.local_micros as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33
    }

    fn date(&self) -> Date {
        let seconds = self.local_micros.div_euclid(1_000_000);
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days in eras of 400 years that begin on a 1st of March.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let years =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let in_year = day_of_era - (365 * years + years / 4 - years / 100);
        let from_march = (5 * in_year + 2) / 153;
        let day = in_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + years + i64::from(month <= 2);
        let yearday = days - days_before(year);
        Date {
            year,
            month: (month - 1) as usize,
            day,
            weekday: (days + 4).rem_euclid(7),
            yearday,
            hour: time / 3_600,
            minute: time / 60 % 60,
            second: time % 60,
            micros: self.local_micros.rem_euclid(1_000_000),
        }
    }

    /// `datetime.now().strftime(format)`
    pub fn format(&self, format: &str, budget: &Budget) -> Outcome<String> {
        let date = self.date();
        let mut out = String::new();
        self.write(&date, format, &mut out, budget)?;
        budget.text(out.len())?;
        Ok(out)
    }

    fn write(&self, date: &Date, format: &str, out: &mut String, budget: &Budget) -> Outcome<()> {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (field, used) = field(after);
            let Some(code) = after[used..].chars().next() else {
                out.push_str(&rest[at..]);
                return Ok(());
            };
            rest = &after[used + code.len_utf8()..];
            budget.text(field.width)?;
            match self.piece(date, code, &field, budget)? {
                Some(piece) => out.push_str(&piece),
                // glibc writes what it does not know as it stands.
                None => {
                    out.push('%');
                    out.push_str(&after[..used]);
                    out.push(code);
                }
            }
            budget.fits(out.len())?;
        }
        out.push_str(rest);
        Ok(())
    }

    fn piece(
        &self,
        date: &Date,
        code: char,
        field: &Field,
        budget: &Budget,
    ) -> Outcome<Option<String>> {
        let (monday_week, sunday_week) = (
            (date.yearday + 7 - (date.weekday + 6) % 7) / 7,
            (date.yearday + 7 - date.weekday) / 7,
        );
        let (iso_year, iso_week) = iso(date);
        let hour12 = (date.hour + 11) % 12 + 1;
        let number = |value: i64, width: usize, pad: char| Some(padded(value, width, pad, field));
        let text = |text: &str| Some(cased(text, field));
        let noon = if date.hour < 12 { "AM" } else { "PM" };
        if let Some(nested) = nested(code) {
            let mut out = String::new();
            self.write(date, nested, &mut out, budget)?;
            return Ok(text(&out));
        }
        Ok(match code {
            'a' => text(&DAYS[date.weekday as usize][..3]),
            'A' => text(DAYS[date.weekday as usize]),
            'b' | 'h' => text(&MONTHS[date.month][..3]),
            'B' => text(MONTHS[date.month]),
            'p' if field.swap => text(&noon.to_lowercase()),
            'p' => text(noon),
            'P' => text(&noon.to_lowercase()),
            'd' => number(date.day, 2, '0'),
            'e' => number(date.day, 2, ' '),
            'm' => number(date.month as i64 + 1, 2, '0'),
            'y' => number(date.year.rem_euclid(100), 2, '0'),
            'C' => number(date.year.div_euclid(100), 2, '0'),
            'Y' => number(date.year, 0, '0'),
            'G' => number(iso_year, 0, '0'),
            'g' => number(iso_year.rem_euclid(100), 2, '0'),
            'V' => number(iso_week, 2, '0'),
            'U' => number(sunday_week, 2, '0'),
            'W' => number(monday_week, 2, '0'),
            'u' => number((date.weekday + 6) % 7 + 1, 1, '0'),
            'w' => number(date.weekday, 1, '0'),
            'j' => number(date.yearday + 1, 3, '0'),
            'H' => number(date.hour, 2, '0'),
            'k' => number(date.hour, 2, ' '),
            'I' => number(hour12, 2, '0'),
            'l' => number(hour12, 2, ' '),
            'M' => number(date.minute, 2, '0'),
            'S' => number(date.second, 2, '0'),
            'f' => Some(format!("{:06}", date.micros)),
            's' => number(self.local_micros.div_euclid(1_000_000) - self.offset_seconds, 1, '0'),
            // A time without a zone has none to show.
            'z' | 'Z' => text(""),
            'n' => text("\n"),
            't' => text("\t"),
            '%' => text("%"),
            _ => None,
        })
    }
}

/// What some letters are short for.
fn nested(code: char) -> Option<&'static str> {
    Some(match code {
        'c' => "%a %b %e %H:%M:%S %Y",
        'x' | 'D' => "%m/%d/%y",
        'X' | 'T' => "%H:%M:%S",
        'r' => "%I:%M:%S %p",
        'R' => "%H:%M",
        'F' => "%Y-%m-%d",
        _ => return None,
    })
}

/// The flags, width and modifier between a `%` and its letter, and how many bytes they are.
fn field(text: &str) -> (Field, usize) {
    let mut field = Field::default();
    let mut used = 0;
    for char in text.chars() {
        match char {
            '-' | '_' | '0' if field.width == 0 => field.pad = Some(char),
            '^' => field.upper = true,
            '#' => field.swap = true,
            '0'..='9' => {
                let digit = u32::from(char) as usize - '0' as usize;
                field.width = field.width.saturating_mul(10).saturating_add(digit);
            }
            'E' | 'O' => {}
            _ => break,
        }
        used += char.len_utf8();
    }
    (field, used)
}

fn padded(value: i64, width: usize, pad: char, field: &Field) -> String {
    let (pad, width) = match field.pad {
        Some('-') => return value.to_string(),
        Some('_') => (' ', width),
        Some(_) => ('0', width),
        None => (pad, width),
    };
    let width = if field.width > 0 { field.width } else { width };
    match pad {
        ' ' => format!("{:>1$}", value, width.min(60_000)),
        _ => format!("{:01$}", value, width.min(60_000)),
    }
}

fn cased(text: &str, field: &Field) -> String {
    let text = if field.upper
        || field.swap && text.chars().any(char::is_lowercase) && text != "am" && text != "pm"
    {
        text.to_uppercase()
    } else {
        text.to_owned()
    };
    let width = field.width.min(60_000);
    let fill = if field.pad == Some('0') { "0" } else { " " };
    let missing = width.saturating_sub(text.chars().count());
    format!("{}{text}", fill.repeat(missing))
}

/// Days from 1970 to the beginning of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    (year - 1970) * 365 + leaps - 477
}

/// The year and week of ISO 8601.
fn iso(date: &Date) -> (i64, i64) {
    let weekday = (date.weekday + 6) % 7;
    let week = (date.yearday - weekday + 10) / 7;
    let weeks_in = |year: i64| {
        let first = (days_before(year) + 3).rem_euclid(7);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if first == 3 || first == 2 && is_leap {
            53
        } else {
            52
        }
    };
    match week {
        0 => (date.year - 1, weeks_in(date.year - 1)),
        53 if weeks_in(date.year) < 53 => (date.year + 1, 1),
        week => (date.year, week),
    }
}
