//! Shapes as text. Whatever comes from a history is escaped here.

use std::fmt::Write;

/// Makes text safe within HTML and its attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // What XML does not allow at all.
            it if it.is_control() && !it.is_whitespace() => safe.push('\u{fffd}'),
            it => safe.push(it),
        }
    }
    safe
}

/// A drawing.
pub(super) struct Svg {
    text: String,
    width: f64,
    title: String,
}

impl Svg {
    pub(super) fn new(width: f64, title: &str) -> Svg {
        Svg { text: String::new(), width, title: escape(title) }
    }

    /// A box, with what is shown of it under a pointer.
    pub(super) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), hint: &str) {
        let ((x, y), (w, h)) = (at, size);
        let _ = write!(
            self.text,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}""#
        );
        self.close("rect", hint);
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64), hint: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ =
            write!(self.text, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}""#);
        self.close("line", hint);
    }

    pub(super) fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, hint: &str) {
        let (x, y) = at;
        let _ = write!(self.text, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}""#);
        self.close("circle", hint);
    }

    /// A line through all points.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.is_empty() {
            return;
        }
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.text, r#"<polyline class="{class}" points="{}"/>"#, points.join(" "));
    }

    /// What is drawn within leads elsewhere on the page, and can be led to.
    pub(super) fn link(&mut self, target: &str, to: &str, within: impl FnOnce(&mut Svg)) {
        let _ = writeln!(self.text, r#"<a id="{}" href="{}">"#, escape(target), escape(to));
        within(self);
        self.text.push_str("</a>\n");
    }

    /// Words; `anchor` is `start`, `middle` or `end`.
    pub(super) fn words(&mut self, class: &str, at: (f64, f64), anchor: &str, words: &str) {
        let (x, y) = at;
        let words = escape(words);
        let _ = writeln!(
            self.text,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
        );
    }

    fn close(&mut self, tag: &str, hint: &str) {
        if hint.is_empty() {
            self.text.push_str("/>\n");
        } else {
            let _ = writeln!(self.text, "><title>{}</title></{tag}>", escape(hint));
        }
    }

    /// How much there is of it, in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn finish(self, height: f64) -> String {
        let Svg { text, width, title } = self;
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n{text}</svg>\n"
        )
    }
}
