//! The bars: median CPU seconds of each row, with minimum and maximum as a whisker.

use crate::{Data, page, peers};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 80.0;
const ROW: f64 = 34.0;
const TOP: f64 = 52.0;

/// The chart as SVG that needs nothing from outside.
pub fn draw(data: &Data) -> String {
    let rows: Vec<(&str, [f64; 3])> =
        page::ROWS.iter().filter_map(|row| Some((*row, page::spread(&data.runs, row, |r| r.cpu)?))).collect();
    let most = rows.iter().map(|(_, s)| s[2]).fold(1.0, f64::max);
    let step = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|s| most / s <= 8.0).unwrap_or(100.0);
    let end = (most / step).ceil() * step;
    let x = |value: f64| LEFT + value / end * (WIDTH - LEFT - RIGHT);
    let (bottom, height) = (TOP + ROW * rows.len() as f64, TOP + ROW * rows.len() as f64 + 36.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"16\" fill=\"#222\">CPU seconds, {}</text>\n",
        data.date
    );
    for i in 0..=(end / step).round() as usize {
        let value = i as f64 * step;
        let _ = writeln!(
            out,
            "<line x1=\"{0:.1}\" y1=\"{1}\" x2=\"{0:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\" fill=\"#666\">{value}</text>",
            x(value),
            TOP - 8.0,
            bottom + 18.0
        );
    }
    for (i, (name, [min, median, max])) in rows.iter().enumerate() {
        let y = TOP + ROW * i as f64;
        let peer = [peers::MKOSI, peers::MMDEBSTRAP, peers::NO_INITRAMFS].contains(name);
        let colour = if peer { "#9aa5b1" } else { "#2b6cb0" };
        let middle = y + 11.0;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"22\" fill=\"{colour}\"/>\
             <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#222\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#222\">{median:.2}</text>",
            LEFT - 10.0,
            y + 16.0,
            x(*median) - LEFT,
            x(*min),
            x(*max),
            x(*max) + 8.0,
            y + 16.0
        );
    }
    out += "</svg>\n";
    out
}
