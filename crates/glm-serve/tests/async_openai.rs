//! The `async-openai` crate as a client.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest, CreateChatCompletionRequestArgs, FinishReason,
};
use async_openai::types::completions::CreateCompletionRequestArgs;
use support::start;
use tokio_stream::StreamExt;

fn question(model: &str) -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default().content("你好").build().unwrap();
    CreateChatCompletionRequestArgs::default()
        .model(model)
        .messages([message.into()])
        .temperature(0.0)
        .max_completion_tokens(12u32)
        .logprobs(true)
        .top_logprobs(2)
        .n(2)
        .build()
        .unwrap()
}

#[test]
fn the_client_understands_every_answer() {
    let server = start(|config, _, _| config.keys = vec!["sk-test".into()]);
    let base = format!("http://{}/v1", server.address);
    let client = |key: &str| Client::with_config(OpenAIConfig::new().with_api_base(&base).with_api_key(key));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let known = client("sk-test");
        let models = known.models().list().await.unwrap();
        assert_eq!(models.data.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["tiny", "tiny:prefix"]);

        let whole = known.chat().create(question("tiny:prefix")).await.unwrap();
        let text = whole.choices[0].message.content.clone().unwrap();
        assert_eq!((whole.choices.len(), whole.choices[1].message.content.as_ref()), (2, Some(&text)));
        assert_eq!(whole.choices[0].finish_reason, Some(FinishReason::Length));
        let words = whole.choices[0].logprobs.clone().unwrap().content.unwrap();
        assert!(words.len() == 12 && words.iter().all(|word| word.top_logprobs.len() == 2));
        assert_eq!(whole.usage.unwrap().completion_tokens, 24);

        let mut stream = known.chat().create_stream(question("tiny:prefix")).await.unwrap();
        let mut joined = String::new();
        while let Some(chunk) = stream.next().await {
            for choice in chunk.unwrap().choices.iter().filter(|choice| choice.index == 0) {
                joined.push_str(choice.delta.content.as_deref().unwrap_or_default());
            }
        }
        assert_eq!(joined, text);

        let complete =
            CreateCompletionRequestArgs::default().model("tiny").prompt("白色").max_tokens(5u32).build().unwrap();
        assert!(!known.completions().create(complete).await.unwrap().choices[0].text.is_empty());

        let missing = known.chat().create(question("none")).await.unwrap_err().to_string();
        assert!(missing.contains("does not exist here"), "{missing}");
        let stranger = client("sk-other").models().list().await.unwrap_err().to_string();
        assert!(stranger.contains("wants a key"), "{stranger}");
    });
}
