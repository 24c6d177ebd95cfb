DROP FUNCTION message_bus_publish;
DROP TABLE message_inbox;
DROP TABLE message_failures;
DROP TABLE message_consumer_segments;
DROP TABLE message_consumer_state;
DROP TABLE public_messages;
