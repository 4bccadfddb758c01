//! The course of the boot as a drawing: a bar for each phase, a mark for what was reached, said and asked.

use diorite_model::report::{Evidence, Lane, Moment, Report, Verdict};
use diorite_page::Page;

/// Width of the drawing, and of what stands left of the time axis, in units of its own; a unit is a pixel at full width.
const WIDTH: f64 = 800.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 12.0;
/// Height of a row, and of the axis.
const ROW: f64 = 20.0;
const AXIS: f64 = 24.0;
/// About the width of a letter.
const LETTER: f64 = 6.9;

/// Draws it; nothing when nothing has a time.
pub fn draw(page: &mut Page, report: &Report) {
    let moments = &report.boot.moments;
    let ends = moments.iter().map(|m| m.until.unwrap_or(m.at)).chain(report.checks.iter().map(|c| c.at));
    let last = ends.fold(0.0_f64, f64::max);
    if last <= 0.0 {
        page.element("p", &[("class", &"soft")], "Nothing happened that has a time.");
        return;
    }
    let x = |at: f64| LEFT + (at.clamp(0.0, last) / last) * (WIDTH - LEFT - RIGHT);
    let of = |lane: Lane| moments.iter().filter(move |m| m.lane == lane).collect::<Vec<_>>();
    let marks: Vec<(Lane, Vec<Vec<&Moment>>)> =
        [Lane::Targets, Lane::Packets].into_iter().map(|lane| (lane, stacked(of(lane), &x))).collect();
    let rows = 4 + marks.iter().map(|(_, rows)| rows.len().max(1)).sum::<usize>() + 1;
    let height = AXIS + rows as f64 * ROW + 6.0;
    page.open(
        "svg",
        &[
            ("viewBox", &format!("0 0 {WIDTH} {height:.0}")),
            ("role", &"img"),
            ("aria-label", &"the course of the boot"),
        ],
    );
    axis(page, last, height, &x);
    let mut y = AXIS;
    for (lane, name) in [
        (Lane::Firmware, "firmware"),
        (Lane::Kernel, "kernel"),
        (Lane::Initrd, "initrd"),
        (Lane::Userspace, "userspace"),
    ] {
        label(page, name, y);
        bars(page, &of(lane), name, y, &x);
        y += ROW;
    }
    for (lane, rows) in &marks {
        let name = if *lane == Lane::Targets { "targets" } else { "packets" };
        label(page, name, y);
        for row in rows {
            row.iter().for_each(|moment| mark(page, moment, name, y, &x));
            y += ROW;
        }
        if rows.is_empty() {
            y += ROW;
        }
    }
    label(page, "checks", y);
    // What did not pass lies on top.
    let (good, rest): (Vec<_>, Vec<_>) = report.checks.iter().partition(|c| c.verdict == Verdict::Pass);
    for check in good.into_iter().chain(rest) {
        let class = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
        };
        let (wide, tall) = if check.verdict == Verdict::Pass { (2.0, 10.0) } else { (4.0, 16.0) };
        let at = format!("{:.1}", x(check.at) - wide / 2.0);
        page.open(
            "rect",
            &[("class", &class), ("x", &at), ("y", &(y + (ROW - tall) / 2.0)), ("width", &wide), ("height", &tall)],
        );
        page.element("title", &[], format!("{:.1} s {}: {class}", check.at, check.id)).close("rect");
    }
    page.close("svg");
}

/// Seconds along the top.
fn axis(page: &mut Page, last: f64, height: f64, x: &dyn Fn(f64) -> f64) {
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let step = steps.into_iter().find(|s| last / s <= 12.0).unwrap_or(last);
    let mut at = 0.0;
    while at <= last {
        let place = format!("{:.1}", x(at));
        page.empty(
            "line",
            &[("class", &"grid"), ("x1", &place), ("x2", &place), ("y1", &(AXIS - 6.0)), ("y2", &height)],
        );
        page.element(
            "text",
            &[("class", &"axis"), ("x", &place), ("y", &12), ("text-anchor", &"middle")],
            format!("{at:.0} s"),
        );
        at += step;
    }
}

fn label(page: &mut Page, name: &'static str, y: f64) {
    page.element("text", &[("x", &0), ("y", &(y + 14.0)), ("class", &"axis")], name);
}

/// The phases of one lane, and one label for all of them.
fn bars(page: &mut Page, moments: &[&Moment], class: &'static str, y: f64, x: &dyn Fn(f64) -> f64) {
    let (mut words_of_all, mut begin, mut end) = (Vec::new(), WIDTH, 0.0_f64);
    for moment in moments {
        let until = moment.until.unwrap_or(moment.at);
        let (from, wide) = (x(moment.at), (x(until) - x(moment.at) - 1.0).max(1.5));
        page.open(
            "rect",
            &[
                ("class", &class),
                ("x", &format!("{from:.1}")),
                ("y", &(y + 3.0)),
                ("width", &format!("{wide:.1}")),
                ("height", &(ROW - 6.0)),
                ("rx", &"2"),
            ],
        );
        page.element("title", &[], words(moment)).close("rect");
        words_of_all.push(format!("{} {:.1} s", moment.what, until - moment.at));
        (begin, end) = (begin.min(from), end.max(from + wide));
    }
    let text = words_of_all.join(", ");
    // Behind the bars; on them or before them where there is no room.
    let wide = text.chars().count() as f64 * LETTER;
    let (place, anchor, on) = match (end + 5.0 + wide < WIDTH, end - begin > wide) {
        (true, _) => (end + 5.0, "start", ""),
        (false, true) => (end - 6.0, "end", "on"),
        (false, false) => (begin - 5.0, "end", ""),
    };
    if !text.is_empty() {
        let place = format!("{place:.1}");
        page.element("text", &[("class", &on), ("x", &place), ("y", &(y + 14.0)), ("text-anchor", &anchor)], text);
    }
}

fn mark(page: &mut Page, moment: &Moment, class: &'static str, y: f64, x: &dyn Fn(f64) -> f64) {
    let at = x(moment.at);
    page.open("circle", &[("class", &class), ("cx", &format!("{at:.1}")), ("cy", &(y + 10.0)), ("r", &"3.5")]);
    page.element("title", &[], words(moment)).close("circle");
    let (place, anchor) = match to_the_right(moment, at) {
        true => (at + 7.0, "start"),
        false => (at - 7.0, "end"),
    };
    page.element("text", &[("x", &format!("{place:.1}")), ("y", &(y + 14.0)), ("text-anchor", &anchor)], &moment.what);
}

fn to_the_right(moment: &Moment, at: f64) -> bool {
    at + 7.0 + width(moment) < WIDTH
}

fn width(moment: &Moment) -> f64 {
    moment.what.chars().count() as f64 * LETTER
}

/// Marks beside each other, and the places they take.
struct MarkRow<'a> {
    taken: Vec<(f64, f64)>,
    moments: Vec<&'a Moment>,
}

/// Marks in as few rows as keep their words apart.
fn stacked<'a>(moments: Vec<&'a Moment>, x: &dyn Fn(f64) -> f64) -> Vec<Vec<&'a Moment>> {
    let mut rows: Vec<MarkRow> = Vec::new();
    for moment in moments {
        let at = x(moment.at);
        let (from, to) = match to_the_right(moment, at) {
            true => (at - 6.0, at + 14.0 + width(moment)),
            false => (at - 14.0 - width(moment), at + 6.0),
        };
        let free = |row: &&mut MarkRow| row.taken.iter().all(|(f, t)| to <= *f || *t <= from);
        match rows.iter_mut().find(free) {
            Some(row) => {
                row.taken.push((from, to));
                row.moments.push(moment);
            }
            None => rows.push(MarkRow { taken: vec![(from, to)], moments: vec![moment] }),
        }
    }
    rows.into_iter().map(|row| row.moments).collect()
}

/// A moment in full, for who points at it.
fn words(moment: &Moment) -> String {
    let witness = match moment.evidence {
        Evidence::Outside => "the wire",
        Evidence::Inside => "systemd",
        Evidence::Console => "the console",
    };
    match moment.until {
        Some(until) => format!("{}: {:.1} s to {until:.1} s, says {witness}", moment.what, moment.at),
        None => format!("{}: {:.1} s, says {witness}", moment.what, moment.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_lie_on_each_other() {
        let moment = |what: &str, at| Moment {
            lane: Lane::Targets,
            what: what.to_owned(),
            evidence: Evidence::Inside,
            at,
            until: None,
        };
        let all = [
            moment("basic.target", 10.0),
            moment("network.target", 10.1),
            moment("late.target", 90.0),
            moment("end.target", 99.0),
        ];
        let x = |at: f64| LEFT + at / 100.0 * (WIDTH - LEFT - RIGHT);
        let rows = stacked(all.iter().collect(), &x);
        let names: Vec<Vec<&str>> = rows.iter().map(|r| r.iter().map(|m| m.what.as_str()).collect()).collect();
        assert_eq!(names, [vec!["basic.target", "late.target"], vec!["network.target", "end.target"]]);
    }
}
