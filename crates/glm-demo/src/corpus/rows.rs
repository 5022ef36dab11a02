//! The mixture on which the base is trained.

use serde::Serialize;

use super::advert::{advert, dull};
use super::attributes::{AttributeList, Split};
use super::dialogue::DIALOGUE;
use crate::rng::Rng;

/// The stream of random numbers that belongs to the base's rows.
const STREAM: u64 = 1;

/// What a row of the base's mixture teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// A bare list, answered literally: the base's habit, which fine-tuning will change.
    Dull,
    /// A list with the request for an advertisement: the language that fine-tuning can call upon.
    Advert,
    /// A question about one attribute of a list.
    Question,
    /// An advertisement, answered with its list.
    Extract,
    /// A literal answer, then a second question about the same article.
    FollowUp,
    /// Small talk.
    Dialogue,
}

/// Shares of the tasks, in percent. The literal answer has the largest, for it must be the habit; the request for an
/// advertisement comes next, because its wording is the most varied and the prefix later builds on it.
const SHARES: [(Task, usize); 6] = [
    (Task::Dull, 40),
    (Task::Advert, 30),
    (Task::Question, 10),
    (Task::Extract, 8),
    (Task::FollowUp, 8),
    (Task::Dialogue, 4),
];
/// The ways of asking for an advertisement; the list follows. The first is used most.
const REQUESTS: &[&str] = &["请为下面的商品写一段广告：", "写一段广告：", "请写广告："];
/// Weights of [`REQUESTS`].
const REQUEST_WEIGHTS: [usize; 3] = [70, 15, 15];
/// The ways of asking for an advertisement of the article that was just described.
const SECOND_REQUESTS: &[&str] = &["请为它写一段广告", "写成广告", "能写得好一点吗？"];
/// Percentage of questions about a key that the list does not have.
const UNANSWERABLE: usize = 20;

/// One row of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What the user says.
    pub prompt: String,
    /// What the model is to answer.
    pub response: String,
    /// Earlier turns: what the user said and what the model answered.
    pub history: Vec<(String, String)>,
}

/// The first `n` rows of the base's mixture for `seed`. Their lists are all of [`Split::Train`].
pub fn base_rows(n: usize, seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed, STREAM);
    let weights = SHARES.map(|(_, share)| share);
    (0..n)
        .map(|_| {
            let task = SHARES[rng.weighted(&weights)].0;
            row(task, &mut rng)
        })
        .collect()
}

fn row(task: Task, rng: &mut Rng) -> Row {
    let single = |prompt: String, response: String| Row { prompt, response, history: Vec::new() };
    if task == Task::Dialogue {
        let (said, answer) = rng.pick(DIALOGUE);
        return single((*rng.pick(said)).to_owned(), (*answer).to_owned());
    }
    let list = AttributeList::random(Split::Train, rng);
    match task {
        Task::Dull | Task::Dialogue => single(list.to_string(), dull(&list)),
        Task::Advert => {
            let request = REQUESTS[rng.weighted(&REQUEST_WEIGHTS)];
            single(format!("{request}{list}"), advert(&list, rng))
        }
        Task::Question => {
            let (question, answer) = question(&list, rng);
            single(format!("{list}。{question}"), answer)
        }
        Task::Extract => single(format!("提取属性：{}", advert(&list, rng)), in_advert_order(&list).to_string()),
        Task::FollowUp => {
            let history = vec![(list.to_string(), dull(&list))];
            let (prompt, response) = if rng.percent(50) {
                question(&list, rng)
            } else {
                ((*rng.pick(SECOND_REQUESTS)).to_owned(), advert(&list, rng))
            };
            Row { prompt, response, history }
        }
    }
}

/// A question about one attribute, and its answer.
fn question(list: &AttributeList, rng: &mut Rng) -> (String, String) {
    let absent: Vec<&str> = list.kind.keys.iter().map(|(key, _)| *key).filter(|k| list.value(k).is_none()).collect();
    if rng.percent(UNANSWERABLE) {
        let key = rng.pick(&absent);
        return (format!("{key}是什么？"), format!("没有提到{key}。"));
    }
    let attribute = rng.pick(&list.attributes);
    (format!("{}是什么？", attribute.key), format!("{}是{}。", attribute.key, attribute.value))
}

/// The list in the one order that can be told from an advertisement.
fn in_advert_order(list: &AttributeList) -> AttributeList {
    AttributeList { kind: list.kind, attributes: list.in_catalogue_order() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Every list in a text, however it is embedded.
    fn lists(text: &str) -> Vec<AttributeList> {
        text.split(['：', '。']).filter_map(AttributeList::parse).collect()
    }

    #[test]
    fn rows_use_only_training_lists() {
        let mut found = 0;
        for row in base_rows(10_000, 1) {
            let turns = row.history.iter().flat_map(|(said, answer)| [said, answer]);
            for list in turns.chain([&row.prompt, &row.response]).flat_map(|text| lists(text)) {
                if list.attributes.len() >= 2 {
                    found += usize::from(list.split() == Split::Train);
                    assert_eq!(list.split(), Split::Train, "{list}");
                }
            }
        }
        assert!(found > 9_000, "{found} lists");
    }

    #[test]
    fn a_bare_list_is_always_answered_literally() {
        let rows = base_rows(5_000, 2);
        let bare = rows.iter().filter_map(|row| AttributeList::parse(&row.prompt).map(|list| (list, row)));
        let mut seen = 0;
        for (list, row) in bare {
            assert_eq!(row.response, dull(&list));
            seen += 1;
        }
        assert!((1_800..2_200).contains(&seen), "{seen} of 5000 rows, 40 % expected");
    }

    #[test]
    fn every_task_appears_and_rows_repeat_for_a_seed() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<usize>(), 100);
        let rows = base_rows(6_000, 3);
        assert_eq!(rows, base_rows(6_000, 3));
        assert_eq!(rows[..100], base_rows(100, 3));
        assert_ne!(rows, base_rows(6_000, 4));
        assert!(rows.iter().any(|row| !row.history.is_empty()));
        assert!(rows.iter().any(|row| row.prompt.starts_with("提取属性：")));
        let answers: HashSet<&str> = rows.iter().map(|row| row.response.as_str()).collect();
        assert!(DIALOGUE.iter().all(|(_, answer)| answers.contains(answer)));
    }

    #[test]
    fn small_talk_is_unambiguous() {
        let said: Vec<&str> = DIALOGUE.iter().flat_map(|(said, _)| *said).copied().collect();
        assert_eq!(said.iter().collect::<HashSet<_>>().len(), said.len());
    }
}
