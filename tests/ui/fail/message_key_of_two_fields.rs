use persisting_message_bus::MessageKey;

#[derive(MessageKey)]
struct OrderId {
    shop: u32,
    number: u64,
}

fn main() {
    let _ = OrderId { shop: 1, number: 1 };
}
