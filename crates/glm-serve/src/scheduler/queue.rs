//! Who is next: clients in turn, each client's requests in the order in which they came.

use std::collections::VecDeque;

/// A bounded queue that is fair to clients: one with many requests waits behind one with few.
#[derive(Debug)]
pub struct Queue<T> {
    /// Clients with waiting requests; the first is next.
    clients: VecDeque<(String, VecDeque<T>)>,
    len: usize,
    limit: usize,
}

impl<T> Queue<T> {
    /// An empty queue for at most `limit` requests.
    pub fn new(limit: usize) -> Self {
        Self { clients: VecDeque::new(), len: 0, limit }
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds several requests of a client, or, where there is no room for all of them, none.
    ///
    /// # Errors
    /// Gives the requests back.
    pub fn push_all(&mut self, client: &str, items: Vec<T>) -> Result<(), Vec<T>> {
        if items.len() > self.limit - self.len {
            return Err(items);
        }
        self.len += items.len();
        match self.clients.iter_mut().find(|(name, _)| name == client) {
            Some((_, waiting)) => waiting.extend(items),
            None if items.is_empty() => {}
            None => self.clients.push_back((client.to_owned(), items.into())),
        }
        Ok(())
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
        let mut queue = Queue::new(6);
        assert!(queue.push_all("many", vec![1, 2, 3]).is_ok());
        assert!(queue.push_all("few", vec![10]).is_ok());
        assert!(queue.push_all("many", vec![4]).is_ok());
        assert_eq!(queue.push_all("other", vec![20, 21]), Err(vec![20, 21]), "all or none");
        assert!(queue.push_all("other", vec![20]).is_ok());
        assert_eq!((queue.len(), queue.peek()), (6, Some(&1)));
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [1, 10, 20, 2, 3, 4]);
        assert!(queue.is_empty() && queue.peek().is_none());
    }

    #[test]
    fn what_leaves_makes_room() {
        let mut queue = Queue::new(3);
        assert!(queue.push_all("a", vec![1, 2]).is_ok() && queue.push_all("b", vec![3]).is_ok());
        assert_eq!(queue.take_out(|item| item % 2 == 1), [1, 3]);
        assert!(queue.push_all("c", vec![5, 7]).is_ok());
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [2, 5, 7]);
    }
}
