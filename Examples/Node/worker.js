// A worker for `baton serve`, the same as Examples/Python/worker.py: takes live TLS connections whose first request the server has
// read, answers that request and those that follow, and hands the connections on to another worker when it ends.
//
//     node worker.js SOCKET [OTHER]        connections come to SOCKET; on SIGTERM they go to the worker at OTHER
'use strict';
const baton = require(process.env.BATON_ADDON || './baton.node');

const [READABLE, WRITABLE] = [1, 2];
const [HANDED_OVER, RETURNED] = [1, 2];
const MOST_WAITING = 1 << 20;
const LONGEST_HEAD = 16384;
const LONGEST_BODY = 1 << 20;
const MOST_ITEMS = 16384;

// A client: what it has sent and was not answered yet, and how far its connection has come.
class Session {
    constructor(connection, received) {
        this.connection = connection;
        this.received = received;
        this.count = 0;
        this.isLast = false;
        this.watcher = null;
        this.events = 0;
    }

    // Does what can be done without waiting. Returns the events to wait for; 0: it is over.
    goOn() {
        const connection = this.connection;
        this.answer();
        // A client that does not read is not read either.
        while (!this.isLast && baton.outgoingCount(connection) < MOST_WAITING) {
            const plaintext = baton.read(connection);
            if (plaintext === null) {
                if (!baton.fill(connection)) break;
            } else if (plaintext.length === 0) {
                this.end();
            } else {
                this.received = Buffer.concat([this.received, plaintext]);
                this.answer();
            }
        }
        if (baton.flush(connection)) return this.isLast ? 0 : READABLE;
        const isFull = this.isLast || baton.outgoingCount(connection) >= MOST_WAITING;
        return WRITABLE | (isFull ? 0 : READABLE);
    }

    // Answers every request that is whole.
    answer() {
        while (!this.isLast) {
            const end = this.received.indexOf('\r\n\r\n');
            if (end < 0) {
                if (this.received.length > LONGEST_HEAD) this.say(431, 'Request Header Fields Too Large', '', true);
                return;
            }
            const [line, ...fields] = this.received.toString('latin1', 0, end).split('\r\n');
            const headers = new Map(fields.map(field => {
                const colon = field.indexOf(':');
                return [field.slice(0, colon).trim().toLowerCase(), field.slice(colon + 1).trim()];
            }));
            const words = line.split(' ');
            const length = headers.get('content-length') ?? '0';
            if (words.length !== 3 || headers.has('transfer-encoding') || !/^[0-9]+$/.test(length)) {
                return this.say(400, 'Bad Request', '', true);
            }
            if (Number(length) > LONGEST_BODY) return this.say(413, 'Content Too Large', '', true);
            if (this.received.length < end + 4 + Number(length)) return;
            this.received = this.received.subarray(end + 4 + Number(length));
            this.count += 1;
            this.say(200, 'OK', `process ${process.pid} answers ${words[1]}, request ${this.count} it saw here\n`,
                (headers.get('connection') ?? '').toLowerCase() === 'close' || words[2] !== 'HTTP/1.1');
        }
    }

    say(status, reason, text, isLast) {
        const connection = isLast ? 'Connection: close\r\n' : '';
        const head = `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n${connection}\r\n`;
        baton.write(this.connection, Buffer.from(head + text, 'latin1'));
        if (isLast) this.end();
    }

    end() {
        this.isLast = true;
        baton.close(this.connection);
    }
}

class Worker {
    constructor(path, other) {
        this.other = other;
        this.inbox = baton.listen(path);
        this.sessions = new Set();
        this.arrivals = baton.watch(baton.descriptor(this.inbox), READABLE, () => this.takeArrivals());
        process.once('SIGTERM', () => baton.stop(this.inbox));
    }

    takeArrivals() {
        let arrival;
        while ((arrival = baton.take(this.inbox))) {
            const session = new Session(arrival.connection, arrival.state);
            this.sessions.add(session);
            this.serve(session);
        }
        // What was accepted before the stop has come, too.
        if (arrival === undefined) this.handOn();
    }

    serve(session) {
        let events = 0;
        try {
            events = session.goOn();
        } catch (error) {
            console.log(`a connection has ended: ${error.message}`);
            tryLastWords(session);
        }
        if (events === 0) return this.forget(session);
        if (events === session.events) return;
        session.events = events;
        if (session.watcher) {
            baton.rewatch(session.watcher, events);
        } else {
            session.watcher = baton.watch(baton.descriptor(session.connection), events, () => this.serve(session));
        }
    }

    forget(session) {
        this.sessions.delete(session);
        if (session.watcher) baton.unwatch(session.watcher);
        baton.free(session.connection);
    }

    // Hands every connection on, at whatever byte it is. The other worker gets what this one has read and not answered.
    handOn() {
        const sessions = this.other ? [...this.sessions].filter(session => !session.isLast) : [];
        let handedOver = 0;
        for (const session of sessions) baton.suspend(session.connection);
        for (let start = 0; start < sessions.length; start += MOST_ITEMS) {
            const some = sessions.slice(start, start + MOST_ITEMS);
            const {fates, reason} = baton.offer(
                this.other, some.map(session => [session.connection, session.received]), 10000);
            if (reason !== null) console.log(`not all could be handed on: ${reason}`);
            some.forEach((session, index) => {
                if (fates[index] === RETURNED) return baton.resume(session.connection);
                handedOver += fates[index] === HANDED_OVER;
                this.forget(session);
            });
        }
        console.log(`process ${process.pid} has handed on ${handedOver} connections`);
        for (const session of [...this.sessions]) {
            // Nobody takes it: it ends in order.
            tryLastWords(session, () => session.end());
            this.forget(session);
        }
        baton.unwatch(this.arrivals);
        baton.free(this.inbox);
    }
}

// What is outgoing still, such as the alert that says why a connection has ended.
function tryLastWords(session, before = () => {}) {
    try {
        before();
        baton.flush(session.connection);
    } catch {
        // The peer is gone.
    }
}

function main([path, other, ...rest]) {
    if (!path || rest.length > 0) {
        console.error('usage: node worker.js SOCKET [OTHER]');
        process.exitCode = 2;
        return;
    }
    try {
        new Worker(path, other);
        console.log(`process ${process.pid} waits for connections at ${path}`);
    } catch (error) {
        console.error(`worker.js: ${error.message}`);
        process.exitCode = 1;
    }
}

main(process.argv.slice(2));
