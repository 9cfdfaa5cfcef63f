/// What a page is asked. Whoever has the engine answers it: the engine knows requests, and nothing of what they are for.
package struct PageQuestion: Sendable, Equatable {
    /// A request, or why what has come is none.
    package var finding: RequestScanner.Finding
    /// Nothing follows the answer, and the connection ends with it (RFC 9112 section 9.6).
    package var isLast: Bool
    /// The session's note.
    package var note: [UInt8]
    /// How often the session has come to another owner with its arena, in order.
    package var handovers: UInt32

    package init(finding: RequestScanner.Finding, isLast: Bool, note: [UInt8], handovers: UInt32) {
        self.finding = finding
        self.isLast = isLast
        self.note = note
        self.handovers = handovers
    }

    /// The most bytes of an answer. One that is longer, or has none, resets its session.
    package static let longestAnswer = 1_536
    /// The most answers that are made of one record. The last of them ends the connection if more is asked there: what has been
    /// opened of a record has no place to wait in. A server may close after any answer (RFC 9112 section 9.3.2).
    package static let maxAnswers = 32
    /// After how many answers a session waits until the others of its engine have had their turn. One record's may be more.
    package static let maxAnswersAtOnce = 64
}

/// The answer to a question, from its first byte to its last, as HTTP/1.1 has it on the wire. It is called on the engine's thread.
package typealias PageResponder = @Sendable (PageQuestion) -> [UInt8]

/// What has been made of some of a page's input.
struct PageAnswers {
    /// The answers, one behind the other.
    private(set) var bytes: [UInt8] = []
    /// How many they are.
    private(set) var count = 0
    /// How much of the input they are made of.
    private(set) var used = 0
    /// Nothing may follow them.
    private(set) var isLast = false
    /// One of them could not be made.
    private(set) var hasFailed = false

    /// The shortest head that there is: a method and a target of one byte, the version, and two bare LFs.
    private static let shortestHead = 14

    /// How many answers so many bytes may ask for, of which there are `most` at the most.
    static func most(in count: Int, outOf most: Int = PageQuestion.maxAnswers) -> Int {
        min(most, count / shortestHead + 1)
    }

    /// Answers what `content` asks, `most` times at the most.
    ///
    /// - Parameters:
    ///   - scanner: goes on from where it is.
    ///   - usesAll: what is behind the last answer cannot wait: that ends the connection if more is asked there.
    init(
        to content: UnsafeRawBufferPointer, _ scanner: inout RequestScanner, most: Int, usesAll: Bool,
        limits: SessionLimits, note: [UInt8], handovers: UInt32, _ respond: PageResponder
    ) {
        while used < content.count, !isLast, !hasFailed, count < most {
            let rest = UnsafeRawBufferPointer(rebasing: content[used...])
            let (finding, length) = scanner.next(in: rest, limit: limits.headSize)
            used += length
            guard let finding else { return }
            count += 1
            isLast = limits.isEnding
            if case .request(let request) = finding { isLast = isLast || request.isLast } else { isLast = true }
            if !isLast, usesAll, count == most {
                var ahead = scanner
                let behind = UnsafeRawBufferPointer(rebasing: content[used...])
                if ahead.next(in: behind, limit: limits.headSize).finding == nil {
                    (scanner, used) = (ahead, content.count)
                } else {
                    isLast = true
                }
            }
            let answer = respond(PageQuestion(finding: finding, isLast: isLast, note: note, handovers: handovers))
            hasFailed = !(1...PageQuestion.longestAnswer ~= answer.count)
            if !hasFailed { bytes += answer }
        }
    }
}
