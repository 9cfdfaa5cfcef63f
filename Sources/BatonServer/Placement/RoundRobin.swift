/// Takes each of several in turn, whichever they are each time.
struct RoundRobin {
    private var turn = 0

    /// The next; `nil` if there is none.
    mutating func next<Elements: RandomAccessCollection>(of elements: Elements) -> Elements.Element? {
        guard !elements.isEmpty else { return nil }
        turn = (turn + 1) % elements.count
        return elements[elements.index(elements.startIndex, offsetBy: turn)]
    }
}
