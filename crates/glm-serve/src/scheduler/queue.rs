//! Who is next: clients in turn, each client's requests in the order in which they came.

use std::collections::VecDeque;

/// A queue that is fair to clients: one with many requests waits behind one with few.
#[derive(Debug, Default)]
pub struct Queue<T> {
    /// Clients with waiting requests; the first is next.
    clients: VecDeque<(String, VecDeque<T>)>,
    len: usize,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self { clients: VecDeque::new(), len: 0 }
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds several requests of a client.
    pub fn push_all(&mut self, client: &str, items: Vec<T>) {
        self.len += items.len();
        match self.clients.iter_mut().find(|(name, _)| name == client) {
            Some((_, waiting)) => waiting.extend(items),
            None if items.is_empty() => {}
            None => self.clients.push_back((client.to_owned(), items.into())),
        }
    }

    /// The request that is next, still in the queue.
    pub fn peek(&self) -> Option<&T> {
        self.clients.front()?.1.front()
    }

    /// Takes the next request out; its client goes behind all others.
    pub fn pop(&mut self) -> Option<T> {
        let (client, mut waiting) = self.clients.pop_front()?;
        let next = waiting.pop_front();
        if !waiting.is_empty() {
            self.clients.push_back((client, waiting));
        }
        self.len -= usize::from(next.is_some());
        next
    }

    /// Takes out all requests for which `leaves` holds.
    pub fn take_out(&mut self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for (_, waiting) in &mut self.clients {
            for item in std::mem::take(waiting) {
                if leaves(&item) { taken.push(item) } else { waiting.push_back(item) }
            }
        }
        self.clients.retain(|(_, waiting)| !waiting.is_empty());
        self.len -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns_and_keep_their_order() {
        let mut queue = Queue::new();
        for (client, items) in
            [("many", vec![1, 2, 3]), ("few", vec![10]), ("many", vec![4]), ("other", vec![20]), ("none", vec![])]
        {
            queue.push_all(client, items);
        }
        assert_eq!((queue.len(), queue.peek()), (6, Some(&1)));
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [1, 10, 20, 2, 3, 4]);
        assert!(queue.is_empty() && queue.peek().is_none());
    }

    #[test]
    fn what_leaves_leaves_the_others_in_order() {
        let mut queue = Queue::new();
        queue.push_all("a", vec![1, 2]);
        queue.push_all("b", vec![3]);
        assert_eq!(queue.take_out(|item| item % 2 == 1), [1, 3]);
        queue.push_all("c", vec![5, 7]);
        assert_eq!((queue.len(), std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>()), (3, vec![2, 5, 7]));
    }
}
