//! A picture: deliveries per CPU-second among 10 nodes, on a scale on which each step is ten times as much.

use std::fmt::Write as _;

use rs2p_tests::bench::Outcome;

use crate::report::{Cell, Results};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const TOP: f64 = 56.0;
const BAR: f64 = 11.0;
const GROUP_GAP: f64 = 9.0;
const COLORS: [&str; 3] = ["#9ecae1", "#4292c6", "#084594"];
/// Nothing measured is below or above these powers of ten.
const LOWEST: f64 = 2.0;
const HIGHEST: f64 = 7.0;

/// Draws the cells among 10 nodes, at most three of them.
pub(crate) fn svg(results: &Results) -> String {
    let cells = results.throughput.iter();
    let cells: Vec<&Cell> = cells.filter(|cell| cell.work.nodes == 10).take(3).collect();
    let group = BAR * cells.len() as f64 + GROUP_GAP;
    let bottom = TOP + group * results.systems.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Deliveries per second of processor time, 10 nodes</text>\n",
        bottom + 26.0
    );
    for (number, cell) in cells.iter().enumerate() {
        let x = LEFT + 110.0 * number as f64;
        line(
            &mut svg,
            format_args!(
                "<rect x=\"{x}\" y=\"28\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"37\">{} bytes</text>",
                COLORS[number],
                x + 14.0,
                cell.work.len
            ),
        );
    }
    let mut power = LOWEST;
    while power <= HIGHEST {
        let x = x_of(10_f64.powf(power));
        line(
            &mut svg,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
                bottom + 14.0,
                name_of(power)
            ),
        );
        power += 1.0;
    }
    for (row, system) in results.systems.iter().enumerate() {
        let y = TOP + group * row as f64;
        line(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{system}</text>",
                LEFT - 6.0,
                y + group / 2.0
            ),
        );
        for (number, cell) in cells.iter().enumerate() {
            let Some(rate) = cell.median(row, Outcome::cpu_rate) else {
                continue;
            };
            let (end, y) = (x_of(rate), y + BAR * number as f64);
            line(
                &mut svg,
                format_args!(
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" fill=\"#333\">{rate:.0}</text>",
                    end - LEFT,
                    BAR - 1.0,
                    COLORS[number],
                    end + 3.0,
                    y + 8.5
                ),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn x_of(rate: f64) -> f64 {
    let along = (rate.max(1.0).log10() - LOWEST) / (HIGHEST - LOWEST);
    LEFT + (WIDTH - LEFT - 50.0) * along.clamp(0.0, 1.0)
}

fn name_of(power: f64) -> String {
    let number = 10_f64.powf(power);
    if number < 1e6 {
        format!("{number:.0}")
    } else {
        format!("{:.0} million", number / 1e6)
    }
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a text takes what is written");
}
