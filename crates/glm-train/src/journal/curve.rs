use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::error::finite;
use super::{JournalError, Metrics};
use crate::atomic;

const SIZE: (u32, u32) = (960, 540);
const FONT: &str = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const INK: RGBColor = RGBColor(0x26, 0x2b, 0x33);
const MUTED: RGBColor = RGBColor(0x6b, 0x72, 0x80);
const GRID: RGBColor = RGBColor(0xe8, 0xea, 0xee);
const RAW: RGBColor = RGBColor(0xa9, 0xc6, 0xe8);
const SMOOTH: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const EVAL: RGBColor = RGBColor(0xd9, 0x6c, 0x1a);

/// The points of a loss curve: (optimizer step, loss).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Training loss.
    pub train: Vec<(u64, f64)>,
    /// Validation loss.
    pub eval: Vec<(u64, f64)>,
}

impl Curve {
    /// Takes `loss` and `eval_loss` out of a history.
    pub fn from_history(history: &[Metrics]) -> Self {
        let series = |key: &str| {
            let point = |entry: &Metrics| Some((entry.get("step")? as u64, entry.get(key)?));
            history.iter().filter_map(point).collect()
        };
        Self { train: series("loss"), eval: series("eval_loss") }
    }

    /// The training loss as a moving mean around each point, near points weighing more; the more points, the wider.
    ///
    /// The mean is centred, so that it does not lag behind a falling loss as an exponential one does.
    pub fn smoothed(&self) -> Vec<(u64, f64)> {
        let points = &self.train;
        let reach = (points.len() / 25).clamp(1, 60);
        let smooth = |i: usize| {
            // Narrower at the start, where the loss is steep: a lopsided mean would cut the start off.
            let (before, after) = (reach.min(i), reach.min(i).min(points.len() - 1 - i));
            let (mut sum, mut norm) = (0.0, 0.0);
            for (j, point) in points.iter().enumerate().take(i + after + 1).skip(i - before) {
                let weight = (reach + 1 - i.abs_diff(j)) as f64;
                sum += weight * point.1;
                norm += weight;
            }
            (points[i].0, sum / norm)
        };
        (0..points.len()).map(smooth).collect()
    }

    /// The curve as an SVG picture. Without any point it says that nothing was logged.
    ///
    /// # Errors
    /// When a loss is not finite, or the drawing library refuses (its reason).
    pub fn svg(&self, title: &str) -> Result<String, JournalError> {
        for (key, series) in [("loss", &self.train), ("eval_loss", &self.eval)] {
            for (_, value) in series {
                finite(key, *value)?;
            }
        }
        let mut svg = String::new();
        self.draw(&mut svg, title).map_err(|e| JournalError::Curve { path: title.into(), reason: e.to_string() })?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String, title: &str) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || self.train.iter().chain(&self.eval);
        if points().next().is_none() {
            let centre = Pos::new(HPos::Center, VPos::Center);
            let style = (FONT, 18).into_font().color(&MUTED).pos(centre);
            area.draw(&Text::new("no loss was logged", (SIZE.0 as i32 / 2, SIZE.1 as i32 / 2), style))?;
            return area.present();
        }
        let last = points().map(|p| p.0).max().unwrap_or(0).max(1);
        let (low, high) = points().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
        let pad = ((high - low) * 0.06).max(high.abs() * 0.01).max(1e-6);

        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 24).into_font().color(&INK))
            .margin(18)
            .x_label_area_size(50)
            .y_label_area_size(70)
            .build_cartesian_2d(0..last, low - pad..high + pad)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(MUTED)
            .x_labels(8)
            .y_labels(7)
            .y_label_formatter(&|y| label(*y, high - low))
            .x_desc("optimizer step")
            .y_desc("loss")
            .label_style((FONT, 16).into_font().color(&MUTED))
            .axis_desc_style((FONT, 17).into_font().color(&INK))
            .draw()?;

        let raw = LineSeries::new(self.train.iter().copied(), RAW.stroke_width(1));
        if self.train.len() > 2 {
            chart.draw_series(raw)?.label("loss").legend(key(RAW));
            let smooth = LineSeries::new(self.smoothed(), SMOOTH.stroke_width(2));
            chart.draw_series(smooth)?.label("loss, smoothed").legend(key(SMOOTH));
        } else if !self.train.is_empty() {
            let dots = self.train.iter().map(|p| Circle::new(*p, 3, SMOOTH.filled()));
            chart.draw_series(dots)?.label("loss").legend(key(SMOOTH));
        }
        if !self.eval.is_empty() {
            chart.draw_series(LineSeries::new(self.eval.iter().copied(), EVAL.stroke_width(2)))?;
            let size = if self.eval.len() > 40 { 0 } else { 4 };
            let dots = self.eval.iter().map(|p| Circle::new(*p, size, EVAL.filled()));
            chart.draw_series(dots)?.label("validation loss").legend(key(EVAL));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .margin(12)
            .label_font((FONT, 16).into_font().color(&INK))
            .draw()?;
        area.present()
    }
}

fn key(color: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
}

/// An axis label with as many decimals as the range needs.
fn label(y: f64, range: f64) -> String {
    let decimals = (1.5 - range.max(1e-9).log10()).ceil().clamp(1.0, 8.0) as usize;
    format!("{y:.decimals$}")
}

/// Writes the curve as `path` in one instant.
///
/// # Errors
/// As [`Curve::svg`], and when the system refuses.
pub fn save_curve(path: &Path, curve: &Curve, title: &str) -> Result<(), JournalError> {
    let svg = curve.svg(title).map_err(|e| match e {
        JournalError::Curve { reason, .. } => JournalError::Curve { path: path.to_owned(), reason },
        other => other,
    })?;
    Ok(atomic::write_file(path, svg.as_bytes())?)
}
