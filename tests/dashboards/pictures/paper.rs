//! Shapes as text.

use std::fmt::Write;

/// A place on the paper.
#[derive(Clone, Copy)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// A drawing.
pub struct Paper {
    text: String,
    size: (f64, f64),
}

const STYLE: &str = "\
text{font:11px system-ui,'DejaVu Sans',sans-serif;fill:#444}\
.page{font-size:17px;font-weight:600;fill:#222}.row{font-size:13px;font-weight:600;fill:#222}\
.title{font-weight:600;fill:#333}.mark{font-size:9px;fill:#777}.legend{font-size:9.5px}\
.big{font-size:25px;font-weight:600;fill:#fff;text-anchor:middle}.empty{fill:#999;text-anchor:middle}\
.on{fill:#fff}.end{text-anchor:end}.mid{text-anchor:middle}.fault{fill:#b3261e;font-size:11px}\
.card{fill:#fff;stroke:#dcdfe4}.grid{stroke:#eceef1}.band{fill:#e5484d;fill-opacity:.09}.limit{stroke:#e5484d;stroke-dasharray:4 3}\
.line{fill:none;stroke-width:1.4;stroke-linejoin:round}";

/// Colours for series, one after the other.
pub const COLOURS: [&str; 10] = [
    "#3274d9", "#e0752d", "#2f9e63", "#a352cc", "#c4162a", "#1f9bcf", "#b8860b", "#6e7b8b", "#d6537c",
    "#37872d",
];

impl Paper {
    pub fn new(width: f64, height: f64) -> Paper {
        Paper { text: String::new(), size: (width, height) }
    }

    pub fn rect(&mut self, class: &str, area: Area, fill: &str) {
        let Area { x, y, w, h } = area;
        let fill = if fill.is_empty() { String::new() } else { format!(" fill=\"{fill}\"") };
        let _ = write!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"{fill}/>"
        );
    }

    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = write!(self.text, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }

    /// A line through points, or the area between it and the points back.
    pub fn path(&mut self, points: &[(f64, f64)], back: Option<&[(f64, f64)]>, colour: &str) {
        let mut d = String::new();
        for (index, (x, y)) in points.iter().chain(back.into_iter().flatten()).enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        let _ = match back {
            Some(_) => write!(self.text, "<path d=\"{d}Z\" fill=\"{colour}\" fill-opacity=\".55\"/>"),
            None => write!(self.text, "<path class=\"line\" d=\"{d}\" stroke=\"{colour}\"/>"),
        };
    }

    pub fn text(&mut self, class: &str, x: f64, y: f64, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = write!(self.text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
    }

    pub fn finish(self) -> String {
        let (w, h) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\">\
             <style>{STYLE}</style><rect width=\"{w:.0}\" height=\"{h:.0}\" fill=\"#f4f5f7\"/>{}</svg>\n",
            self.text
        )
    }
}
