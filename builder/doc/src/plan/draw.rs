//! The network plan as a drawing: above, the links with their cables; below, who is outside, the firewall, and what is
//! behind it. Text is never wider than its box: a line that is too long is cut, and stands in full in the tables.

use super::{LinkBox, NamedBox, NetworkPlan};
use diorite_page::Page;

/// Left edges and widths of the columns, in units of the drawing; a unit is a pixel at full width.
const BOX: f64 = 200.0;
const BORDER: f64 = 222.0;
const WALL: f64 = 330.0;
const WALL_WIDTH: f64 = 26.0;
const INSIDE: f64 = 524.0;
const BUS: f64 = 746.0;
const BUS_STEP: f64 = 92.0;
/// Where cards begin, and how far apart the columns of links are.
const LINK: f64 = 238.0;
const LINK_STEP: f64 = 226.0;
/// Height of a line of text, of a flow's lane, and the space between boxes.
const LINE: f64 = 16.0;
const LANE: f64 = 36.0;
const GAP: f64 = 14.0;
/// Letters that fit into a box, and into the space between firewall and box.
const LETTERS: usize = 28;
const LANE_LETTERS: usize = 21;
/// Lines of a box that are shown.
const LINES: usize = 6;

/// A rectangle's place.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    height: f64,
}

impl Place {
    fn middle(self) -> f64 {
        self.y + self.height / 2.0
    }
}

pub(crate) fn draw(page: &mut Page, plan: &NetworkPlan) {
    let (links, below_links) = place_links(&plan.links, 34.0);
    // The names of the networks stand above what is in them.
    let names = if plan.networks.is_empty() { 0.0 } else { 34.0 };
    let top = below_links + 26.0 + names;
    let lanes = lanes(plan, top);
    let inside = place_inside(plan, top);
    let outside = place_outside(plan, &lanes, top);
    let ends = inside.iter().chain(&outside).map(|p| p.y + p.height).chain(lanes.iter().copied());
    let bottom = ends.fold(top, f64::max) + 20.0;
    let buses = plan.networks.len() as f64;
    let depth = plan.links.iter().map(|l| l.depth).max().unwrap_or(0) as f64;
    let width = (BUS + buses * BUS_STEP + 10.0).max(LINK + depth * LINK_STEP + BOX + 20.0);
    page.open(
        "svg",
        &[
            ("class", &"plan"),
            ("viewBox", &format!("0 0 {width:.0} {:.0}", bottom + 10.0)),
            ("role", &"img"),
            ("aria-label", &plan.title),
        ],
    );
    frame(page, plan, width, bottom);
    draw_links(page, &plan.links, &links);
    for (flow, lane) in plan.flows.iter().zip(&lanes) {
        let (from, to) = (outside[flow.outside], inside[flow.inside]);
        let class = if flow.outward { "flow out" } else { "flow" };
        let (x, y) = (BOX, from.middle());
        let path = format!(
            "M{x:.1} {y:.1} C{:.1} {y:.1} {:.1} {lane:.1} {WALL:.1} {lane:.1} L{:.1} {lane:.1}",
            x + 60.0,
            WALL - 60.0,
            to.x
        );
        page.empty("path", &[("class", &class), ("d", &path)]);
        let tip = if flow.outward { (x, y, -1.0) } else { (to.x, *lane, 1.0) };
        arrow(page, tip, class);
    }
    page.empty(
        "rect",
        &[
            ("class", &"wall"),
            ("x", &WALL),
            ("y", &(top - 6.0)),
            ("width", &WALL_WIDTH),
            ("height", &(bottom - top - 4.0)),
        ],
    );
    let middle = (top + bottom) / 2.0 - 5.0;
    let turned = format!("rotate(-90 {:.1} {middle:.1})", WALL + 17.0);
    page.element(
        "text",
        &[
            ("class", &"on-wall"),
            ("x", &(WALL + 17.0)),
            ("y", &middle),
            ("text-anchor", &"middle"),
            ("transform", &turned),
        ],
        &plan.firewall,
    );
    for (flow, lane) in plan.flows.iter().zip(&lanes) {
        let x = WALL + WALL_WIDTH + 8.0;
        text(page, "what", x, lane - 5.0, &cut(&flow.what, LANE_LETTERS));
        if !flow.remark.is_empty() {
            text(page, "small", x, lane + 13.0, &cut(&flow.remark, LANE_LETTERS));
        }
    }
    for (about, place) in plan.outside.iter().zip(&outside) {
        named(page, "box", about, *place);
    }
    for (one, place) in plan.inside.iter().zip(&inside) {
        named(page, "box", &one.about, *place);
    }
    draw_networks(page, plan, &inside, top, bottom);
    page.close("svg");
}

/// The machine's border and its name.
fn frame(page: &mut Page, plan: &NetworkPlan, width: f64, bottom: f64) {
    page.empty(
        "rect",
        &[
            ("class", &"machine"),
            ("x", &BORDER),
            ("y", &1),
            ("width", &(width - BORDER - 1.0)),
            ("height", &(bottom + 4.0)),
            ("rx", &6),
        ],
    );
    text(page, "title", BORDER + 16.0, 22.0, &cut(&plan.machine, 60));
}

fn height(about: &NamedBox) -> f64 {
    10.0 + LINE * (1 + about.lines.len().min(LINES)) as f64
}

fn place_links(links: &[LinkBox], top: f64) -> (Vec<Place>, f64) {
    let mut next: Vec<f64> = Vec::new();
    let places = links.iter().map(|link| {
        next.resize(next.len().max(link.depth + 1), top);
        let cable = link.cable.as_ref().map_or(0.0, height);
        let place = Place { x: LINK + link.depth as f64 * LINK_STEP, y: next[link.depth], height: height(&link.about) };
        next[link.depth] += place.height.max(cable) + GAP;
        place
    });
    let places = places.collect();
    (places, next.into_iter().fold(top, f64::max))
}

fn draw_links(page: &mut Page, links: &[LinkBox], places: &[Place]) {
    for (link, place) in links.iter().zip(places) {
        for below in &link.below {
            let from = places[*below];
            let (x, y, to) = (from.x + BOX, from.middle(), place.middle());
            let middle = place.x - 13.0;
            let path = format!("M{x:.1} {y:.1} L{middle:.1} {y:.1} L{middle:.1} {to:.1} L{:.1} {to:.1}", place.x);
            page.empty("path", &[("class", &"wire"), ("d", &path)]);
        }
        if let Some(cable) = &link.cable {
            let outside = Place { x: 0.0, y: place.y, height: height(cable) };
            let y = place.y + outside.height.min(place.height) / 2.0;
            let path = format!("M{BOX:.1} {y:.1} L{:.1} {y:.1}", place.x);
            page.empty("path", &[("class", &"wire"), ("d", &path)]);
            named(page, "box outside", cable, outside);
        }
        named(page, "box link", &link.about, *place);
    }
}

/// The height of each flow's lane: flows to the same box side by side.
fn lanes(plan: &NetworkPlan, top: f64) -> Vec<f64> {
    let mut lanes = vec![0.0; plan.flows.len()];
    let mut y = top;
    for inside in 0..plan.inside.len() {
        let mine: Vec<usize> = (0..plan.flows.len()).filter(|f| plan.flows[*f].inside == inside).collect();
        let tall = height(&plan.inside[inside].about).max(mine.len() as f64 * LANE);
        let first = y + (tall - mine.len() as f64 * LANE) / 2.0 + LANE / 2.0;
        for (number, flow) in mine.into_iter().enumerate() {
            lanes[flow] = first + number as f64 * LANE;
        }
        y += tall + GAP;
    }
    lanes
}

fn place_inside(plan: &NetworkPlan, top: f64) -> Vec<Place> {
    let mut y = top;
    let places = plan.inside.iter().enumerate().map(|(number, inside)| {
        let mine = plan.flows.iter().filter(|f| f.inside == number).count() as f64;
        let tall = height(&inside.about).max(mine * LANE);
        let place = Place { x: INSIDE, y, height: tall };
        y += tall + GAP;
        place
    });
    places.collect()
}

/// Each as near to the middle of its lanes as there is room, in the order of those middles.
fn place_outside(plan: &NetworkPlan, lanes: &[f64], top: f64) -> Vec<Place> {
    let wanted = |number: usize| {
        let mine: Vec<f64> =
            plan.flows.iter().zip(lanes).filter(|(f, _)| f.outside == number).map(|(_, lane)| *lane).collect();
        mine.iter().sum::<f64>() / (mine.len().max(1) as f64)
    };
    let mut order: Vec<(f64, usize)> = (0..plan.outside.len()).map(|n| (wanted(n), n)).collect();
    order.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let mut places = vec![Place { x: 0.0, y: top, height: 0.0 }; plan.outside.len()];
    let mut free = top;
    for (middle, number) in order {
        let height = height(&plan.outside[number]);
        let y = (middle - height / 2.0).max(free);
        places[number] = Place { x: 0.0, y, height };
        free = y + height + GAP;
    }
    places
}

/// Each network is a line from top to bottom, with a dot for each container in it.
fn draw_networks(page: &mut Page, plan: &NetworkPlan, inside: &[Place], top: f64, bottom: f64) {
    for (number, network) in plan.networks.iter().enumerate() {
        let x = BUS + 34.0 + number as f64 * BUS_STEP;
        let path = format!("M{x:.1} {:.1} L{x:.1} {:.1}", top - 8.0, bottom - 8.0);
        page.empty("path", &[("class", &"bus"), ("d", &path)]);
        let mut y = top - 13.0 * (1 + network.lines.len()) as f64;
        for (number, line) in std::iter::once(&network.name).chain(&network.lines).enumerate() {
            page.element(
                "text",
                &[
                    ("class", &if number == 0 { "small strong" } else { "small" }),
                    ("x", &x),
                    ("y", &y),
                    ("text-anchor", &"middle"),
                ],
                cut(line, 15),
            );
            y += 13.0;
        }
        let members = plan.inside.iter().zip(inside).filter(|(one, _)| one.networks.contains(&number));
        for (_, place) in members {
            // Lines of one box to several networks lie apart.
            let y = (place.y + 12.0 + number as f64 * 9.0).min(place.y + place.height - 6.0);
            let path = format!("M{:.1} {y:.1} L{x:.1} {y:.1}", place.x + BOX);
            page.empty("path", &[("class", &"bus thin"), ("d", &path)]);
            page.empty("circle", &[("class", &"dot"), ("cx", &x), ("cy", &format!("{y:.1}")), ("r", &"3.5")]);
        }
    }
}

fn named(page: &mut Page, class: &'static str, about: &NamedBox, place: Place) {
    page.open(
        "rect",
        &[
            ("class", &class),
            ("x", &format!("{:.1}", place.x + 0.5)),
            ("y", &format!("{:.1}", place.y)),
            ("width", &(BOX - 1.0)),
            ("height", &format!("{:.1}", place.height)),
            ("rx", &4),
        ],
    );
    let all: Vec<&str> = std::iter::once(&about.name).chain(&about.lines).map(String::as_str).collect();
    page.element("title", &[], all.join(", ")).close("rect");
    let mut y = place.y + 17.0;
    text(page, "strong", place.x + 9.0, y, &cut(&about.name, LETTERS));
    for (number, line) in about.lines.iter().take(LINES).enumerate() {
        y += LINE;
        let more = number + 1 == LINES && about.lines.len() > LINES;
        text(page, "small", place.x + 9.0, y, &if more { "…".to_owned() } else { cut(line, LETTERS + 2) });
    }
}

fn text(page: &mut Page, class: &'static str, x: f64, y: f64, text: &str) {
    page.element("text", &[("class", &class), ("x", &format!("{x:.1}")), ("y", &format!("{y:.1}"))], text);
}

fn arrow(page: &mut Page, (x, y, way): (f64, f64, f64), class: &str) {
    let path = format!("M{x:.1} {y:.1} l{:.1} -4.5 l0 9 z", -9.0 * way);
    page.empty("path", &[("class", &format!("tip {class}")), ("d", &path)]);
}

/// At most so many letters, the last one an ellipsis where there were more.
fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() <= letters {
        true => text.to_owned(),
        false => text.chars().take(letters - 1).chain(['…']).collect(),
    }
}
