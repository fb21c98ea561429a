import type { ReactNode } from "react";
import { texts } from "../texts";
import { More } from "./more";

/** A column: its heading, and what a row shows in it. */
export interface Column<Row> {
  name: string;
  cell(row: Row): ReactNode;
  /** Numbers stand at the right, so that they can be compared. */
  isNumber?: boolean;
  /** Left out where there is little room. */
  isExtra?: boolean;
}

/**
 * Rows that the server has filtered and put in order. Each can be opened by its first cell, also by keyboard; where there is little room, only the columns
 * that are no extras are shown.
 */
export function Table<Row extends { id: string }>({
  label,
  rows,
  columns,
  onOpen,
  total,
  onMore,
}: {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  onOpen?(row: Row): void;
  total?: number;
  /** Reads the next rows, where there are any. */
  onMore?: (() => void) | undefined;
}) {
  const classes = ({ isNumber, isExtra }: Column<Row>) =>
    `px-4 py-2.5 wrap-anywhere ${isNumber ? "text-right tabular-nums whitespace-nowrap" : "text-left"} ${isExtra ? "hidden md:table-cell" : ""}`;
  return (
    <div>
      <div className="overflow-x-auto">
        <table className="w-full text-sm" aria-label={label}>
          <thead>
            <tr className="border-b border-line text-muted">
              {columns.map((column) => (
                <th key={column.name} scope="col" className={`font-medium ${classes(column)}`}>
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} className={`border-b border-line last:border-0 ${onOpen ? "relative hover:bg-hover" : ""}`}>
                {columns.map((column, index) => (
                  <td key={column.name} className={classes(column)}>
                    {index === 0 && onOpen ? (
                      <button
                        type="button"
                        className="cursor-pointer text-left font-medium after:absolute after:inset-0"
                        onClick={() => onOpen(row)}
                      >
                        {column.cell(row)}
                      </button>
                    ) : (
                      column.cell(row)
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {(onMore || total !== undefined) && (
        <footer className="flex min-h-13 items-center justify-between gap-4 border-t border-line px-4 py-2 text-sm text-muted">
          <span aria-live="polite">{total !== undefined && texts.table.total(total)}</span>
          {onMore && <More key={rows.length} onMore={onMore} />}
        </footer>
      )}
    </div>
  );
}
