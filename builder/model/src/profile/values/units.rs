//! Forms of services, modules and directories of state.

use super::{Form, form, lower, lower_digit, only, starts};
use crate::tables::services::recipe::{DAYS, Timer};

/// A line for people: no character that any format reads as more than itself.
pub const SENTENCE: Form = form("letters, digits, spaces and `-_.,:()/`", 100, |text| {
    starts(text, |c| c.is_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_alphanumeric() || " -_.,:()/".contains(c))?;
    if text.ends_with(' ') { Err("it ends with a space".into()) } else { Ok(()) }
});

/// An account that a package makes, root, or `dynamic`.
pub const SERVICE_USER: Form = form("`dynamic`, or an account of the image: `www-data`", 31, |text| {
    starts(text, lower, "a lower-case letter")?;
    only(text, |c| lower_digit(c) || matches!(c, '-' | '_'))
});

/// A variable's name, POSIX.
pub const UNIT_VARIABLE: Form = form("upper-case letters, digits and `_`: `LOG_LEVEL`", 64, |text| {
    starts(text, |c| c.is_ascii_uppercase(), "an upper-case letter")?;
    only(text, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
});

/// A variable's value: one word.
pub const UNIT_VALUE: Form = form("one word: letters, digits and `-_.,:=/@+`", 255, |text| {
    starts(text, |c| c.is_ascii_alphanumeric() || c == '/', "a letter, a digit or `/`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.,:=/@+".contains(c))?;
    if text.split('/').any(|p| p == "..") { Err("`..` is not allowed in it".into()) } else { Ok(()) }
});

/// A credential, systemd.exec(5): a file name.
pub const UNIT_CREDENTIAL: Form = form("a credential's name: letters, digits and `-_.`", 100, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
});

/// A kernel module.
pub const MODULE: Form = form("a kernel module's name: `nf_conntrack`", 64, |text| {
    starts(text, lower_digit, "a lower-case letter or digit")?;
    only(text, |c| lower_digit(c) || matches!(c, '-' | '_'))
});

/// A directory below /var that a machine can do without at its next boot.
pub const VAR_PATH: Form = form("a directory below /var: `/var/cache`, `/var/tmp`, `/var/lib/thing`", 255, |text| {
    const KEPT: [&str; 7] =
        ["/var/lib", "/var/lib/dpkg", "/var/lib/diorite", "/var/lib/ssh", "/var/lib/systemd", "/var/home", "/var/srv"];
    let below = text.strip_prefix("/var/").ok_or("it is not below /var")?;
    only(below, |c| c.is_ascii_alphanumeric() || "-_./".contains(c))?;
    if below.split('/').any(|p| p.is_empty() || p.starts_with('.')) {
        return Err("a part of it is empty or begins with a dot".into());
    }
    if KEPT.contains(&text) { Err("what is there must outlive a boot".into()) } else { Ok(()) }
});

/// When something is done.
pub const TIMER: Form = form(
    "`15min`, `6h`, `1d`: so long after the last time; `hourly`, `daily`, `weekly`, `monthly`; or a time, with days if \
     wanted: `03:30`, `Mon..Fri 03:30`, `Sat,Sun 12:00`",
    40,
    |text| timer(text).map(|_| ()),
);

/// The meaning of a [`TIMER`], its calendar event in the normal form of systemd.time(7).
pub fn timer(text: &str) -> Result<Timer, String> {
    let calendar = |event: String| Ok(Timer::Calendar(event));
    match text {
        "hourly" => return calendar("*-*-* *:00:00".into()),
        "daily" => return calendar("*-*-* 00:00:00".into()),
        "weekly" => return calendar("Mon *-*-* 00:00:00".into()),
        "monthly" => return calendar("*-*-01 00:00:00".into()),
        _ => {}
    }
    if let Some((number, seconds)) = [("min", 60), ("h", 3600), ("d", 86_400)]
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
    {
        let fine = !number.starts_with('0') && number.len() <= 4 && number.bytes().all(|b| b.is_ascii_digit());
        return match number.parse::<u64>() {
            Ok(n) if fine && n > 0 => Ok(Timer::Every(n * seconds)),
            _ => Err(format!("`{number}` is not a number from 1 to 9999")),
        };
    }
    let (days, time) = text.rsplit_once(' ').map_or((None, text), |(days, time)| (Some(days), time));
    let (hour, minute) = time.split_once(':').ok_or("it is neither a time nor an amount of it")?;
    let two = |part: &str, below: u8| {
        let number = part.parse::<u8>().ok().filter(|n| *n < below);
        number.filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let (Some(hour), Some(minute)) = (two(hour, 24), two(minute, 60)) else {
        return Err(format!("`{time}` is not a time of day: two digits each, such as `03:30`"));
    };
    let day = |name: &str| {
        DAYS.iter().position(|d| *d == name).ok_or(format!("`{name}` is not a day of the week: {}", DAYS.join(", ")))
    };
    let days = match days {
        None => String::new(),
        Some(days) => {
            for part in days.split(',') {
                match part.split_once("..") {
                    Some((first, last)) if day(first)? >= day(last)? => {
                        return Err(format!("`{last}` does not come after `{first}`"));
                    }
                    Some(_) => {}
                    None => drop(day(part)?),
                }
            }
            format!("{days} ")
        }
    };
    calendar(format!("{days}*-*-* {hour:02}:{minute:02}:00"))
}

/// The [`TIMER`] that has this meaning.
pub fn timer_text(timer: &Timer) -> String {
    match timer {
        Timer::Every(seconds) => match seconds {
            s if s % 86_400 == 0 => format!("{}d", s / 86_400),
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s => format!("{}min", s / 60),
        },
        Timer::Calendar(event) => match event.as_str() {
            "*-*-* *:00:00" => "hourly".into(),
            "*-*-01 00:00:00" => "monthly".into(),
            event => event.replacen("*-*-* ", "", 1).strip_suffix(":00").unwrap_or(event).to_owned(),
        },
    }
}

/// A file that holds a secret.
pub const SECRET_FILE: Form =
    form("a path, also one that begins with `~/`: letters, digits and `-_.+~/@`", 255, |text| {
        starts(text, |c| c.is_ascii_alphanumeric() || "/~".contains(c), "a letter, a digit, `/` or `~`")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.+~/@".contains(c))?;
        if text.split('/').any(|p| p == "..") { Err("`..` is not allowed in it".into()) } else { Ok(()) }
    });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_typed() {
        for (text, meant) in [
            ("15min", Timer::Every(900)),
            ("1d", Timer::Every(86_400)),
            ("100h", Timer::Every(360_000)),
            ("hourly", Timer::Calendar("*-*-* *:00:00".into())),
            ("daily", Timer::Calendar("*-*-* 00:00:00".into())),
            ("weekly", Timer::Calendar("Mon *-*-* 00:00:00".into())),
            ("monthly", Timer::Calendar("*-*-01 00:00:00".into())),
            ("03:30", Timer::Calendar("*-*-* 03:30:00".into())),
            ("Mon..Fri 03:30", Timer::Calendar("Mon..Fri *-*-* 03:30:00".into())),
            ("Sat,Sun 12:00", Timer::Calendar("Sat,Sun *-*-* 12:00:00".into())),
        ] {
            assert_eq!(timer(text).unwrap(), meant, "{text}");
            assert_eq!(timer(&timer_text(&meant)).unwrap(), meant, "{text}");
        }
        for (text, hours) in [
            ("15min", 0.25),
            ("hourly", 1.0),
            ("03:30", 24.0),
            ("daily", 24.0),
            ("weekly", 168.0),
            ("monthly", 744.0),
            ("Mon..Fri 03:30", 72.0),
            ("Mon..Sun 03:30", 24.0),
            ("Tue,Thu,Sat 03:30", 72.0),
            ("Mon,Sun 03:30", 144.0),
        ] {
            assert_eq!(timer(text).unwrap().longest() as f64 / 3600.0, hours, "{text}");
        }
        for text in [
            "0min",
            "15",
            "99999h",
            "24:00",
            "3:30",
            "Fri..Mon 03:30",
            "Mo 03:30",
            "03:30 Mon",
            "* *",
            "+1:00",
            "-5min",
        ] {
            assert!(timer(text).is_err(), "{text}");
        }
    }
}
