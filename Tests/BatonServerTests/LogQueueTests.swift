import Foundation
import Testing

@testable import BatonServer

@Suite("The log", .timeLimit(.minutes(2)))
struct LogQueueTests {
    /// Reads until the text is right, or nothing more comes.
    private func read(_ descriptor: Int32, until isRight: (String) -> Bool) -> String {
        var bytes: [UInt8] = []
        while !isRight(String(decoding: bytes.suffix(4_096), as: UTF8.self)) {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 20_000) == 1 else { break }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "while its reader stands still nobody waits; then lines come in order, with the number of those that are missing"
    )
    func standstill() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let queue = LogQueue(ends[1])
        let total = 40_000
        let filler = String(repeating: "x", count: 90)
        for number in 0..<total { queue.append("line \(number) \(filler)") }
        let dropped = queue.droppedLines
        #expect(dropped > 0 && dropped < total)
        let text = read(ends[0]) { $0.contains("lines of the log were dropped") }
        let lines = text.split(separator: "\n")
        let numbers = lines.compactMap { $0.hasPrefix("line ") ? Int($0.split(separator: " ")[1]) : nil }
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        #expect(numbers.count + dropped == total)
        let told = lines.compactMap { line in
            line.hasSuffix("there was no room") ? Int(line.split(separator: " ")[1]) : nil
        }
        #expect(told.reduce(0, +) == dropped)
        queue.append("again")
        #expect(read(ends[0]) { $0.hasSuffix("again\n") }.hasSuffix("again\n"))
    }

    @Test("the end waits for the log, and not for a reader that stands still")
    func flushing() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let queue = LogQueue(ends[1])
        for number in 0..<100 { queue.append("line \(number)") }
        queue.flush(within: .seconds(20))
        #expect(read(ends[0]) { $0.contains("line 99\n") }.hasSuffix("line 99\n"))
        for _ in 0..<2_000 { queue.append(String(repeating: "x", count: 100)) }
        // Returns at all.
        queue.flush(within: .milliseconds(10))
    }

    @Test("a log that takes nothing loses lines, counts them, and tells of them when it takes lines again")
    func fullDisk() throws {
        let full = open("/dev/full", O_WRONLY)
        let descriptor = dup(full)
        let queue = LogQueue(descriptor)
        for number in 0..<10 { queue.append("line \(number)") }
        queue.flush(within: .seconds(60))
        #expect(queue.droppedLines == 10)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        // There is room again.
        dup2(ends[1], descriptor)
        queue.append("again")
        let text = read(ends[0]) { $0.contains("10 lines of the log were dropped") }
        #expect(text.hasPrefix("again\n") && text.contains("10 lines of the log were dropped"), "\(text)")
    }

    @Test("a peer's words make no lines of their own")
    func injection() {
        let line = LineLogHandler.printable("reason=a\n2026-01-01 error \u{1B}[2J\r")
        #expect(line == "reason=a; 2026-01-01 error ?[2J?")
    }
}
