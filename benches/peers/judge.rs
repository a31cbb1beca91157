//! Judges answers: SSIMULACRA2 against the reference of the same size, which is made once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::pictures::{Picture, render};
use crate::reference;

#[derive(Default)]
pub(crate) struct Judge {
    /// By name of the picture, width and height.
    references: Mutex<HashMap<(String, usize, usize), Arc<reference::Picture>>>,
}

impl Judge {
    /// Scores of answers that show the whole picture, but of those that cannot be read; on all cores.
    pub(crate) fn scores(&self, answers: &[(&Picture, Vec<u8>)]) -> Vec<f64> {
        let waiting = Mutex::new(answers.iter());
        let next = || waiting.lock().expect("no thread panics with it").next();
        let judge = || {
            let mut scores = Vec::new();
            while let Some((picture, answer)) = next() {
                scores.extend(self.score(picture, answer));
            }
            scores
        };
        thread::scope(|scope| {
            let n_threads = thread::available_parallelism().map_or(1, usize::from).min(answers.len());
            let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(judge)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a score")).collect()
        })
    }

    fn score(&self, picture: &Picture, answer: &[u8]) -> Option<f64> {
        let found = render(answer, "w_60000,c_k")?;
        let (width, height) = (found.size().width as usize, found.size().height as usize);
        let expected = self.reference(picture, width, height)?;
        Some(reference::score(&expected, reference::unchanged(&found), width, height))
    }

    fn reference(&self, picture: &Picture, width: usize, height: usize) -> Option<Arc<reference::Picture>> {
        let key = (picture.name.clone(), width, height);
        let references = || self.references.lock().expect("no thread panics with it");
        if let Some(found) = references().get(&key) {
            return Some(Arc::clone(found));
        }
        // No picture is among the answers twice, so no two threads make the same one.
        let whole = render(&picture.read(), "w_60000,c_k")?;
        let made = Arc::new(reference::resized(&whole, width, height));
        references().insert(key, Arc::clone(&made));
        Some(made)
    }
}
