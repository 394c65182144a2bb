//! Just enough of Rust's lexical structure to tell code from comments and strings, paths from
//! words, and tests from the rest. It accepts any text; what is not Rust yields odd tokens, no error.

use std::iter::Peekable;
use std::str::Chars;

/// A token of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword, without `r#`.
    Word(String),
    /// A string literal's content, escapes as written.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `::`
    PathSeparator,
    /// Any other character that is not white space.
    Mark(char),
}

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

impl Token {
    /// Whether this is the word `word`.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }

    /// Whether this is the character `mark`.
    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// A path such as `std::time::Instant`, written out or imported; an import's `*` is a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodePath {
    /// The line of its last segment.
    pub line: usize,
    /// Its segments, outermost first.
    pub segments: Vec<String>,
    /// Whether a `use` or `extern crate` names it.
    pub imported: bool,
}

/// A Rust file, taken apart.
#[derive(Debug, Default)]
pub struct RustText {
    /// The code, comments and white space left out.
    pub tokens: Vec<Token>,
    /// Comments as (line, text), one for each line a comment covers.
    pub comments: Vec<(usize, String)>,
}

impl RustText {
    /// Takes `text` apart.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader {
            rest: text.chars().peekable(),
            line: 1,
            out: Self::default(),
        };
        reader.read();
        reader.out
    }

    /// Whether any code starts on `line`.
    pub fn has_code(&self, line: usize) -> bool {
        self.tokens
            .binary_search_by_key(&line, |token| token.line)
            .is_ok()
    }

    /// Every path in the code, `use` groups written out. A word on its own is a path of one segment.
    pub fn paths(&self) -> Vec<CodePath> {
        let mut paths = Vec::new();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            if token.is_word("use") {
                at += 1;
                self.use_tree(&mut at, &[], &mut paths);
            } else if token.is_word("extern")
                && self.tokens.get(at + 1).is_some_and(|t| t.is_word("crate"))
            {
                at += 2;
                self.use_tree(&mut at, &[], &mut paths);
            } else if let Kind::Word(word) = &token.kind {
                let mut path = CodePath {
                    line: token.line,
                    segments: vec![word.clone()],
                    imported: false,
                };
                at += 1;
                while let [separator, next, ..] = self.tokens.get(at..).unwrap_or_default() {
                    let (Kind::PathSeparator, Kind::Word(word)) = (&separator.kind, &next.kind)
                    else {
                        break;
                    };
                    path.segments.push(word.clone());
                    path.line = next.line;
                    at += 2;
                }
                paths.push(path);
            } else {
                at += 1;
            }
        }
        paths
    }

    /// Reads one `a::b::{c, d as e, f::*}` from `at`, leaving `at` behind it.
    fn use_tree(&self, at: &mut usize, prefix: &[String], paths: &mut Vec<CodePath>) {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        while let Some(token) = self.tokens.get(*at) {
            match &token.kind {
                Kind::Word(word) if word == "as" => {
                    *at += 2;
                    break;
                }
                // `{self}` names the prefix.
                Kind::Word(word) if word == "self" && !prefix.is_empty() => line = token.line,
                Kind::Word(word) => {
                    segments.push(word.clone());
                    line = token.line;
                }
                Kind::Mark('*') => {
                    segments.push("*".to_owned());
                    line = token.line;
                }
                Kind::PathSeparator => {}
                Kind::Mark('{') => {
                    *at += 1;
                    while let Some(token) = self.tokens.get(*at) {
                        if token.is_mark('}') {
                            *at += 1;
                            return;
                        }
                        if token.is_mark(',') {
                            *at += 1;
                            continue;
                        }
                        let before = *at;
                        self.use_tree(at, &segments, paths);
                        if *at == before {
                            // Not a `use` group after all; go on, or this would never end.
                            *at += 1;
                        }
                    }
                    return;
                }
                _ => break,
            }
            *at += 1;
        }
        if line > 0 {
            paths.push(CodePath {
                line,
                segments,
                imported: true,
            });
        }
    }

    /// The lines (first, last) of items under `#[cfg(test)]`, `#[cfg(all(test, …))]` or `#[test]`.
    pub fn test_lines(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let Some((words, mut end)) = self.attribute(at) else {
                at += 1;
                continue;
            };
            let tests = words == ["test"]
                || (words.first() == Some(&"cfg")
                    && words.contains(&"test")
                    && !words.contains(&"not"));
            if tests {
                while let Some((_, next)) = self.attribute(end) {
                    end = next;
                }
                let last = self.item_end(end);
                let line = |index: usize| self.tokens.get(index).map_or(usize::MAX, |t| t.line);
                found.push((line(at), line(last)));
                end = last;
            }
            at = end;
        }
        found
    }

    /// The words of the outer attribute that starts at `at`, and the index behind it.
    fn attribute(&self, at: usize) -> Option<(Vec<&str>, usize)> {
        let tokens = self.tokens.get(at..)?;
        if !(tokens.first()?.is_mark('#') && tokens.get(1)?.is_mark('[')) {
            return None;
        }
        let mut words = Vec::new();
        let mut depth = 0;
        for (offset, token) in tokens.iter().enumerate() {
            match &token.kind {
                Kind::Mark('[') => depth += 1,
                Kind::Mark(']') => {
                    depth -= 1;
                    if depth == 0 {
                        return Some((words, at + offset + 1));
                    }
                }
                Kind::Word(word) => words.push(word.as_str()),
                _ => {}
            }
        }
        None
    }

    /// The index of the last token of the item that starts at `at`.
    fn item_end(&self, at: usize) -> usize {
        let mut depth = 0;
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            match token.kind {
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']') => depth -= 1,
                Kind::Mark('}') => {
                    depth -= 1;
                    if depth <= 0 {
                        return index;
                    }
                }
                Kind::Mark(';') if depth == 0 => return index,
                _ => {}
            }
        }
        self.tokens.len()
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    out: RustText,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn second(&self) -> Option<char> {
        self.rest.clone().nth(1)
    }

    fn push(&mut self, line: usize, kind: Kind) {
        self.out.tokens.push(Token { line, kind });
    }

    fn read(&mut self) {
        while let Some(&next) = self.rest.peek() {
            let line = self.line;
            match next {
                '/' if self.second() == Some('/') => self.line_comment(),
                '/' if self.second() == Some('*') => self.block_comment(),
                '"' => {
                    self.next();
                    self.string(line);
                }
                '\'' => self.quote(),
                ':' if self.second() == Some(':') => {
                    self.next();
                    self.next();
                    self.push(line, Kind::PathSeparator);
                }
                _ if next.is_ascii_digit() => self.number(),
                _ if next.is_alphabetic() || next == '_' => self.word(),
                _ => {
                    self.next();
                    if !next.is_whitespace() {
                        self.push(line, Kind::Mark(next));
                    }
                }
            }
        }
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while let Some(next) = self.rest.next_if(|next| *next != '\n') {
            text.push(next);
        }
        self.out.comments.push((line, text));
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut text = String::new();
        let mut line = self.line;
        while let Some(next) = self.next() {
            let pair = (next, self.rest.peek().copied());
            match pair {
                ('\n', _) => {
                    self.out.comments.push((line, std::mem::take(&mut text)));
                    line = self.line;
                    continue;
                }
                ('/', Some('*')) | ('*', Some('/')) => {
                    depth += if next == '/' { 1 } else { -1 };
                    self.next();
                    if depth == 0 {
                        break;
                    }
                }
                _ => text.push(next),
            }
        }
        self.out.comments.push((line, text));
    }

    /// A string whose opening quote has been read.
    fn string(&mut self, line: usize) {
        let mut text = String::new();
        while let Some(next) = self.next() {
            match next {
                '"' => break,
                '\\' => {
                    text.push(next);
                    text.extend(self.next());
                }
                _ => text.push(next),
            }
        }
        self.push(line, Kind::Text(text));
    }

    /// A raw string whose `r` has been read; it may turn out to be a raw identifier.
    fn raw(&mut self, line: usize) {
        let mut hashes = 0;
        while self.rest.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if self.rest.next_if_eq(&'"').is_none() {
            self.word();
            return;
        }
        let mut text = String::new();
        while let Some(next) = self.next() {
            if next == '"' {
                let closing = self.rest.clone().take(hashes).filter(|c| *c == '#').count();
                if closing == hashes {
                    for _ in 0..hashes {
                        self.next();
                    }
                    break;
                }
            }
            text.push(next);
        }
        self.push(line, Kind::Text(text));
    }

    /// A character literal, or a lifetime or label, which yields nothing.
    fn quote(&mut self) {
        self.next();
        let first = self.next();
        if first == Some('\\') {
            self.next();
            while let Some(next) = self.next() {
                if next == '\'' {
                    break;
                }
            }
        } else if self.rest.peek() == Some(&'\'') {
            self.next();
        } else {
            while self
                .rest
                .next_if(|next| next.is_alphanumeric() || *next == '_')
                .is_some()
            {}
        }
    }

    fn number(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while let Some(&next) = self.rest.peek() {
            let fraction = next == '.' && self.second().is_some_and(|c| c.is_ascii_digit());
            if !(next.is_alphanumeric() || next == '_' || fraction) {
                break;
            }
            text.push(next);
            self.next();
        }
        self.push(line, Kind::Number(text));
    }

    fn word(&mut self) {
        let line = self.line;
        let mut word = String::new();
        while let Some(next) = self
            .rest
            .next_if(|next| next.is_alphanumeric() || *next == '_')
        {
            word.push(next);
        }
        match (word.as_str(), self.rest.peek()) {
            ("r" | "br" | "cr", Some('"' | '#')) => self.raw(line),
            ("b" | "c", Some('"')) => {
                self.next();
                self.string(line);
            }
            ("b", Some('\'')) => self.quote(),
            ("", _) => {}
            _ => self.push(line, Kind::Word(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let read = RustText::read(text);
        let word = |token: Token| match token.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        };
        read.tokens.into_iter().filter_map(word).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text = r####"
            a /* b /* c */ d */ e // f
            "g \" h" i r#"j " k"# l b"m" 'n' '\'' '\u{1F}' b'o' &'p q r#type br"s" 1.5e3 0..t
        "####;
        assert_eq!(words(text), ["a", "e", "i", "l", "q", "type", "t"]);
    }

    #[test]
    fn comments_keep_their_lines() {
        let read = RustText::read("x\n/* one\ntwo */ y // three\n");
        let comments: Vec<_> = read.comments.iter().map(|(l, t)| (*l, t.trim())).collect();
        assert_eq!(comments, [(2, "one"), (3, "two"), (3, "// three")]);
        assert!(read.has_code(1) && !read.has_code(2) && read.has_code(3));
    }

    #[test]
    fn imports_are_written_out() {
        let text =
            "use std::{fs, time::{self, Instant as I, *}};\nfn f() { a::b::<C>::d(); e.g() }";
        let paths: Vec<String> = RustText::read(text)
            .paths()
            .into_iter()
            .filter(|path| path.segments.len() > 1)
            .map(|path| path.segments.join("::"))
            .collect();
        let expected = [
            "std::fs",
            "std::time",
            "std::time::Instant",
            "std::time::*",
            "a::b",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_half_written_import_ends() {
        assert!(RustText::read("use std::{ ; ) { }").paths().len() < 3);
        assert!(RustText::read("use a::{b, {").paths().len() < 3);
    }

    #[test]
    fn test_items_are_found() {
        let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n\
                    #[cfg(all(test, unix))]\nmod d;\n#[test]\nfn e(x: [u8; 2]) {\n}\n#[cfg(not(test))]\nfn f() {}\n";
        let lines = RustText::read(text).test_lines();
        assert_eq!(lines, [(2, 6), (8, 9), (10, 12)]);
    }
}
