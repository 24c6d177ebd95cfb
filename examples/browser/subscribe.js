// Subscribes to a topic of a feed, and calls `receive` with each CloudEvent, in order.
//
// An EventSource reconnects by itself, and continues after the last event, as long as the feed
// answers. It ends for good at any status other than 200, such as the 502 of a proxy whose server
// is restarted. Then this function opens another one.
export function subscribe(url, receive) {
    const from = new URL(url, location.href);
    const open = () => {
        const source = new EventSource(from);
        source.onmessage = (message) => {
            from.searchParams.set("lastEventId", message.lastEventId);
            receive(JSON.parse(message.data));
        };
        source.onerror = () => {
            if (source.readyState === EventSource.CLOSED) {
                setTimeout(open, 1500 + 3000 * Math.random());
            }
        };
    };
    open();
}
