//! What an expression gives whatever the data, as far as its text alone tells.

use super::eval::Machine;
use super::node::Node;
use super::value::Val;
use super::{Equality, Program};
use crate::data::Roots;

impl Program {
    /// Whether the expression is true, or false, for all data. `None`: it depends on the data, or that cannot be told
    /// from the text.
    pub fn constant(&self) -> Option<bool> {
        if contradict(&self.equalities()) {
            return Some(false);
        }
        known(&self.inner.node)
    }
}

/// Whether two of the conjuncts want one path to be two texts.
fn contradict(equalities: &[Equality]) -> bool {
    let mut pairs = equalities.iter().enumerate();
    pairs.any(|(index, one)| {
        let others = equalities.iter().skip(index + 1);
        others
            .clone()
            .any(|other| other.steps == one.steps && other.value != one.value)
    })
}

fn known(node: &Node) -> Option<bool> {
    match node {
        Node::Not(of) => known(of).map(|value| !value),
        // One false term decides `&&` and one true term `||`, even beside missing data.
        Node::And(terms) => decided(terms.iter().map(|term| known(term)), false),
        Node::Or(terms) => decided(terms.iter().map(known), true),
        Node::If(parts) => {
            let [condition, then, otherwise] = &**parts;
            known(if known(condition)? { then } else { otherwise })
        }
        node if is_closed(node) => {
            let roots = Roots::new();
            match Machine::new(&roots).eval(node) {
                Ok(Val::Bool(value)) => Some(value),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `decisive` when one term is that; the opposite when all terms are; else unknown.
fn decided(terms: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut value = Some(!decisive);
    for term in terms {
        match term {
            Some(term) if term == decisive => return Some(decisive),
            Some(_) => {}
            None => value = None,
        }
    }
    value
}

/// Whether no data is looked at. Comprehensions count as if it were: their variables are data to their tests.
fn is_closed(node: &Node) -> bool {
    match node {
        Node::Const(_) => true,
        Node::Not(of)
        | Node::Negate(of)
        | Node::LowerAscii(of)
        | Node::UpperAscii(of)
        | Node::Size(of)
        | Node::Timestamp(of)
        | Node::Duration(of)
        | Node::InKnown(of, _) => is_closed(of),
        Node::Compare(_, pair)
        | Node::Arithmetic(_, pair)
        | Node::In(pair)
        | Node::TextTest(_, pair) => pair.iter().all(is_closed),
        Node::List(items) => items.iter().all(is_closed),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Schema, Shape};

    #[test]
    fn what_is_constant_is_told() {
        let schema = Schema {
            roots: vec![("a", Shape::Any), ("b", Shape::Any)],
        };
        let constant = |text: &str| Program::compile(text, &schema).unwrap().constant();
        for text in [
            "true",
            "1 == 1",
            "!(2 < 1)",
            "a.x == 1 || true",
            "size('ab') == 2",
            "'a' in ['a', 'b']",
            "true ? !false : a",
            "'ab'.startsWith('a')",
        ] {
            assert_eq!(constant(text), Some(true), "{text}");
        }
        for text in [
            "false",
            "a.x == 1 && false",
            "1 > 2 && b",
            "a.x == 'p' && b.y && a.x == 'q'",
            "false || 1 == 2",
        ] {
            assert_eq!(constant(text), Some(false), "{text}");
        }
        for text in [
            "a.x == 1",
            "a.x == 'p' && b.x == 'q'",
            "a.x == 'p' && a.x == 'p'",
            "a.x == 'p' || a.x == 'q'",
            "a.x == a.x",
            "has(a.x)",
            "!a",
            "[1].exists(it, it == 1)",
            "1 / 0 == 1",
            "a ? true : false",
        ] {
            assert_eq!(constant(text), None, "{text}");
        }
    }
}
