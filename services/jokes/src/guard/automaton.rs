//! Many phrases at once, in one pass (Aho and Corasick, 1975), with the one thing that a stream needs besides: how much of
//! what was read last may still become a phrase.

use std::collections::VecDeque;

/// The phrases, joined into one machine.
#[derive(Debug, Default)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by the character.
    next: Vec<(char, usize)>,
    /// The node of the longest proper suffix that begins a phrase.
    fail: usize,
    depth: usize,
    /// The phrase that ends here, or at one of the suffixes.
    hit: Option<usize>,
}

impl Automaton {
    /// From phrases that are known by their place in the list. Empty ones are never found.
    pub(super) fn new<'p>(phrases: impl IntoIterator<Item = &'p str>) -> Self {
        let mut nodes = vec![Node::default()];
        for (place, phrase) in phrases.into_iter().enumerate() {
            let end = phrase.chars().fold(0, |at, c| grow(&mut nodes, at, c));
            if let Some(node) = nodes.get_mut(end).filter(|node| node.depth > 0) {
                node.hit.get_or_insert(place);
            }
        }
        let mut automaton = Self { nodes };
        automaton.link();
        automaton
    }

    /// Finds for each node its longest suffix, nearest to the root first.
    fn link(&mut self) {
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let (fail, edges) =
                self.nodes.get(at).map(|node| (node.fail, node.next.clone())).unwrap_or_default();
            for (c, child) in edges {
                let suffix = if at == 0 { 0 } else { self.step(fail, c) };
                let inherited = self.hit(suffix);
                if let Some(node) = self.nodes.get_mut(child) {
                    node.fail = suffix;
                    node.hit = node.hit.or(inherited);
                }
                queue.push_back(child);
            }
        }
    }

    /// The state after one more character. The first state is 0.
    pub(super) fn step(&self, mut state: usize, c: char) -> usize {
        loop {
            let Some(node) = self.nodes.get(state) else { return 0 };
            if let Some(next) = edge(node, c) {
                return next;
            }
            if state == 0 {
                return 0;
            }
            state = node.fail;
        }
    }

    /// The phrase that ends in a state.
    pub(super) fn hit(&self, state: usize) -> Option<usize> {
        self.nodes.get(state).and_then(|node| node.hit)
    }

    /// How many of the characters read last are the beginning of a phrase.
    pub(super) fn depth(&self, state: usize) -> usize {
        self.nodes.get(state).map_or(0, |node| node.depth)
    }
}

fn edge(node: &Node, c: char) -> Option<usize> {
    let place = node.next.binary_search_by_key(&c, |(one, _)| *one).ok()?;
    node.next.get(place).map(|(_, child)| *child)
}

/// The child of a node for a character, made if it is not there.
fn grow(nodes: &mut Vec<Node>, at: usize, c: char) -> usize {
    let fresh = nodes.len();
    let Some(node) = nodes.get_mut(at) else { return 0 };
    match node.next.binary_search_by_key(&c, |(one, _)| *one) {
        Ok(place) => node.next.get(place).map_or(0, |(_, child)| *child),
        Err(place) => {
            node.next.insert(place, (c, fresh));
            let depth = node.depth + 1;
            nodes.push(Node { depth, ..Node::default() });
            fresh
        }
    }
}

/// A walk of an automaton over a stream, which knows where the characters stood.
#[derive(Debug, Default)]
pub(super) struct Walk {
    state: usize,
    /// Where the characters of the state began, oldest first.
    starts: VecDeque<usize>,
}

impl Walk {
    /// Takes a character that begins at `at`; gives the phrase that it ends.
    pub(super) fn step(&mut self, automaton: &Automaton, c: char, at: usize) -> Option<usize> {
        self.state = automaton.step(self.state, c);
        self.starts.push_back(at);
        while self.starts.len() > automaton.depth(self.state) {
            self.starts.pop_front();
        }
        automaton.hit(self.state)
    }

    /// Says that the one character that is open, if it is one, began later: it stands for many.
    pub(super) fn slide(&mut self, at: usize) {
        if let [start] = self.starts.make_contiguous() {
            *start = at;
        }
    }

    /// Where the part began that may still become a phrase.
    pub(super) fn open(&self) -> Option<usize> {
        self.starts.front().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_open_beginning_is_known() {
        let phrases = Automaton::new(["abcd", "bcx", ""]);
        let mut walk = Walk::default();
        for (at, c) in "zabc".chars().enumerate() {
            assert_eq!(walk.step(&phrases, c, at), None);
        }
        assert_eq!(walk.open(), Some(1));
        assert_eq!(walk.step(&phrases, 'x', 4), Some(1));
        assert_eq!(walk.open(), Some(2));
        assert_eq!(walk.step(&phrases, '?', 5), None);
        assert_eq!(walk.open(), None);
    }
}
