import EbeeProtocol

/// Events as rows for people.
struct TableFormatter: EventFormatter {
    let stream: EventStream
    let showsFailed: Bool
    /// The header comes before the first event is known, or with it.
    let showsHeaderAtOnce: Bool
    let paint: Paint
    /// The width of the terminal; nil where nothing is to be cut. Asked again for each row, since it may change.
    let width: () -> Int?
    let clock: () -> ReaderClock
    var users = Users()

    /// True as soon as a row was not from today: from then on rows show the date.
    private(set) var showsDateInRows = false
    private var hasHeader = false

    init(
        stream: EventStream, showsFailed: Bool, showsHeaderAtOnce: Bool, paint: Paint,
        width: @escaping () -> Int? = { Terminal.width() }, clock: @escaping () -> ReaderClock = { .current },
        users: Users = Users()
    ) {
        self.stream = stream
        self.showsFailed = showsFailed
        self.showsHeaderAtOnce = showsHeaderAtOnce
        self.paint = paint
        self.width = width
        self.clock = clock
        self.users = users
    }

    mutating func header() -> String {
        showsHeaderAtOnce ? titles(width: width()) : ""
    }

    mutating func format(_ event: ArraySlice<UInt8>) throws(ClientFailure) -> ArraySlice<UInt8> {
        let event = try JSON(reply: event)
        let width = width()
        let clock = clock()
        if event["event"]?.string == "lost" {
            return ArraySlice((lossRow(event, clock: clock, width: width) + "\n").utf8)
        }
        let time = event["time"]?.string.flatMap(RFC3339.parse)
        if let time, !showsDateInRows, !clock.isToday(time) {
            showsDateInRows = true
            hasHeader = false
        }
        var text = hasHeader ? "" : titles(width: width)
        let cells = columns(width: width).map { column in
            cell(column, event: event, time: time, clock: clock)
        }
        text += row(cells, width: width)
        return ArraySlice(text.utf8)
    }

    private func columns(width: Int?) -> [Column] {
        Column.layout(for: stream, isWide: width.map { $0 >= 120 } ?? true, showsFailed: showsFailed)
    }

    private mutating func titles(width: Int?) -> String {
        hasHeader = true
        return row(
            columns(width: width).map { column in
                Cell(column, .bold) { $0.append(plain: column.title) }
            }, width: width)
    }

    /// Puts cells on a line. The last one has what is left of the width.
    private func row(_ cells: [Cell], width: Int?) -> String {
        var line = CellText(limit: width)
        for (index, cell) in cells.enumerated() {
            if index > 0 { line.append(whole: " ", width: 1) }
            let isLast = index == cells.count - 1
            let columnWidth = cell.column.width(withDate: showsDateInRows)
            var text = CellText(limit: width.map { isLast ? $0 - line.width : columnWidth })
            cell.write(&text)
            let padding = String(repeating: " ", count: isLast ? 0 : max(0, columnWidth - text.width))
            let painted = paint(text.text, cell.colour)
            line.append(
                whole: cell.column.isRightAligned ? padding + painted : painted + padding,
                width: text.width + padding.utf8.count)
        }
        return line.text + "\n"
    }

    /// A mark in the place of what is missing.
    private func lossRow(_ event: JSON, clock: ReaderClock, width: Int?) -> String {
        let count = event["count"]?.integer
        let noun =
            switch event["stream"]?.string {
            case "exec": "execution"
            case "delete", "deletes": "deletion"
            default: "event"
            }
        let times = ["from", "to"].compactMap { event[$0]?.string.flatMap(RFC3339.parse) }
        let isWithinDay = times.allSatisfy { clock.zone.civil($0).date == clock.zone.civil(times[0]).date }
        let interval = times.enumerated().map { index, time in
            clock.text(time, fractionDigits: 1, withDate: index > 0 && isWithinDay ? false : nil)
        }
        let why = event["why"]?.string ?? ""
        let reason =
            switch why {
            case "ring_full": "the ring was full"
            case "missed": "missed by the hooks"
            case "evicted": "older than the window"
            case "restart": "ebeed restarted"
            default: why
            }
        var text = CellText(limit: width)
        let lost = count.map { HumanUnits.count($0, noun) } ?? "\(noun)s"
        text.append(plain: "-- \(lost) lost \(interval.joined(separator: " – ")): ")
        text.append(FileName(reason), .name)
        text.append(plain: " --")
        return paint(text.text, .alarm)
    }
}

/// What stands in a column of a row, written when its width is known.
struct Cell {
    let column: Column
    let colour: Paint.Colour
    let write: (inout CellText) -> Void

    init(_ column: Column, _ colour: Paint.Colour = .plain, write: @escaping (inout CellText) -> Void) {
        self.column = column
        self.colour = colour
        self.write = write
    }
}
