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
const MOST_SESSIONS = 10000;
// How often a socket is read before it is the others' turn.
const MOST_FILLS = 16;
// What is offered at once: each connection needs a second descriptor meanwhile, and all of it is in memory twice.
const MOST_ITEMS = 200;
const MOST_BYTES = 8 << 20;
// All in milliseconds: for a client that does nothing; for one to take its end; for the other worker to take all connections; and for
// those that nobody takes to take what is left for them.
const IDLE_TIME = 300000;
const LINGER_TIME = 5000;
const HAND_ON_TIME = 30000;
const LAST_WAIT = 30000;

// A client: what it has sent and was not answered yet, and how far its connection has come.
class Session {
    constructor(connection, received) {
        this.connection = connection;
        this.received = received;
        this.count = 0;
        this.isLast = false;
        this.isFinished = false;
        this.watcher = null;
        this.events = 0;
        this.limit = performance.now() + IDLE_TIME;
    }

    // Does what can be done without waiting. Returns the events to wait for; 0: it is over.
    goOn() {
        const connection = this.connection;
        if (this.isFinished) return baton.discard(connection) ? READABLE : 0;
        this.limit = performance.now() + IDLE_TIME;
        this.answer();
        let [fills, isFlushed, isDry] = [0, true, false];
        // What is decrypted and not read makes no socket readable: once all is flushed, go on with it at once.
        while (isFlushed && !isDry && !this.isLast) {
            // A client that does not read is not read either.
            while (!isDry && !this.isLast && baton.outgoingCount(connection) < MOST_WAITING) {
                const plaintext = baton.read(connection);
                if (plaintext === null) {
                    if (fills < MOST_FILLS && baton.fill(connection)) fills += 1;
                    else isDry = true;
                } else if (plaintext.length === 0) {
                    this.end();
                } else {
                    this.received = Buffer.concat([this.received, plaintext]);
                    this.answer();
                }
            }
            isFlushed = baton.flush(connection);
        }
        if (this.isLast) return baton.flush(connection) ? this.finish() : WRITABLE;
        if (isFlushed) return READABLE;
        return WRITABLE | (isDry ? READABLE : 0);
    }

    // The answer is out. A socket that is closed with bytes to be read would be reset, and the answer lost with it.
    finish() {
        this.isFinished = true;
        this.limit = performance.now() + LINGER_TIME;
        baton.finish(this.connection);
        return READABLE;
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

    refuse() { this.say(503, 'Service Unavailable', '', true); }

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
        this.look = setInterval(() => this.endIdle(), 1000);
        // A second signal changes nothing.
        this.isStopping = false;
        process.on('SIGTERM', () => this.stop());
    }

    stop() {
        if (!this.isStopping) baton.stop(this.inbox);
        this.isStopping = true;
    }

    takeArrivals() {
        let arrival;
        while ((arrival = baton.take(this.inbox))) {
            const session = new Session(arrival.connection, arrival.state);
            this.sessions.add(session);
            if (this.sessions.size > MOST_SESSIONS) tryTo(() => session.refuse());
            this.serve(session);
        }
        // What was accepted before the stop has come, too.
        if (arrival === undefined) this.end();
    }

    end() {
        baton.unwatch(this.arrivals);
        baton.free(this.inbox);
        this.handOn();
        // The process ends when it watches nothing more.
        this.look.unref();
        setTimeout(() => [...this.sessions].forEach(session => this.forget(session)), LAST_WAIT).unref();
    }

    serve(session) {
        let events = 0;
        try {
            events = session.goOn();
        } catch (error) {
            console.log(`a connection has ended: ${error.message}`);
            // The alert that says why, if there is one.
            tryTo(() => baton.flush(session.connection));
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

    endIdle() {
        const now = performance.now();
        for (const session of [...this.sessions].filter(session => session.limit < now)) {
            tryTo(() => {
                if (!session.isLast) session.end();
                baton.flush(session.connection);
            });
            this.forget(session);
        }
    }

    forget(session) {
        this.sessions.delete(session);
        if (session.watcher) baton.unwatch(session.watcher);
        baton.free(session.connection);
    }

    // Hands every connection on, at whatever byte it is. The other worker gets what this one has read and not answered. A session
    // whose last answer is written stays, until its client has taken it.
    handOn() {
        const sessions = [...this.sessions].filter(session => !session.isLast);
        const waiting = this.other ? batches(sessions) : [];
        for (const session of sessions) baton.suspend(session.connection);
        const end = performance.now() + HAND_ON_TIME;
        let [count, problem] = [0, null];
        while (waiting.length > 0) {
            const some = waiting.pop();
            const {fates, reason, wasAsked} = baton.offer(
                this.other, some.map(session => [session.connection, session.received]), Math.max(0, end - performance.now()));
            const back = some.filter((session, index) => fates[index] === RETURNED);
            some.forEach((session, index) => {
                if (fates[index] === RETURNED) return;
                count += fates[index] === HANDED_OVER;
                this.forget(session);
            });
            if (wasAsked && back.length > 0 && some.length > 1 && performance.now() < end) {
                // What is too much at once, for this process or for the other one, may go in halves.
                const half = Math.ceil(back.length / 2);
                waiting.push(...[back.slice(0, half), back.slice(half)].filter(part => part.length > 0));
            } else {
                problem ??= reason;
            }
        }
        if (problem !== null) console.log(`not all could be handed on: ${problem}`);
        console.log(`process ${process.pid} has handed on ${count} connections`);
        for (const session of sessions.filter(session => this.sessions.has(session))) {
            // Nobody takes it: it ends in order.
            baton.resume(session.connection);
            tryTo(() => session.end());
            this.serve(session);
        }
    }
}

// At most MOST_ITEMS sessions each, with MOST_BYTES of what goes with them, unless one alone has more.
function batches(sessions) {
    const result = [];
    let size = 0;
    for (const session of sessions) {
        const count = session.received.length + baton.outgoingCount(session.connection);
        const last = result.at(-1);
        if (last && last.length < MOST_ITEMS && size + count <= MOST_BYTES) {
            last.push(session);
            size += count;
        } else {
            result.push([session]);
            size = count;
        }
    }
    return result;
}

function tryTo(step) {
    try {
        step();
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
