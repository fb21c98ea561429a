import { useState } from "react";
import { texts } from "../texts";
import { Button } from "./button";

/** A bar: the period, its value in words, and its height in thousandths of the highest. */
export interface Bar {
  label: string;
  value: string;
  size: number;
}

const [WIDTH, HEIGHT, GAP] = [720, 180, 0.25];

/** Values over time as bars, and the same as a table. */
export function BarChart({ title, bars, highest }: { title: string; bars: Bar[]; highest: string }) {
  const [asTable, setAsTable] = useState(false);
  const [shown, setShown] = useState<number | null>(null);
  const step = WIDTH / Math.max(1, bars.length);
  const current = bars[shown ?? bars.length - 1];
  return (
    <div className="p-4">
      <div className="mb-3 flex items-center justify-between gap-4">
        <p className="text-sm text-muted" aria-hidden="true">
          {current && !asTable && (
            <>
              <span className="font-medium text-text tabular-nums">{current.value}</span> · {current.label}
            </>
          )}
        </p>
        <Button kind="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? texts.chart.hideTable : texts.chart.showTable}
        </Button>
      </div>
      {asTable ? (
        <div className="max-h-64 overflow-y-auto">
          <table className="w-full text-sm">
            <caption className="sr-only">{title}</caption>
            <thead className="sr-only">
              <tr>
                <th scope="col">{texts.chart.period}</th>
                <th scope="col">{title}</th>
              </tr>
            </thead>
            <tbody>
              {bars.map((bar) => (
                <tr key={bar.label} className="border-b border-line last:border-0">
                  <th scope="row" className="py-1.5 text-left font-normal">
                    {bar.label}
                  </th>
                  <td className="py-1.5 text-right tabular-nums">{bar.value}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <>
          <svg
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            className="block h-44 w-full"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${title}: ${bars.map((bar) => `${bar.label} ${bar.value}`).join(", ")}`}
          >
            <title>{highest}</title>
            {[0, 0.5, 1].map((part) => (
              <line
                key={part}
                x1={0}
                x2={WIDTH}
                y1={1 + part * (HEIGHT - 2)}
                y2={1 + part * (HEIGHT - 2)}
                stroke="var(--color-line)"
                vectorEffect="non-scaling-stroke"
              />
            ))}
            {bars.map((bar, index) => {
              const height = Math.max(bar.size > 0 ? 2 : 0, (bar.size * (HEIGHT - 2)) / 1000);
              return (
                <g key={bar.label} onPointerEnter={() => setShown(index)} onPointerLeave={() => setShown(null)}>
                  <rect x={index * step} width={step} height={HEIGHT} fill="transparent" />
                  <rect
                    x={index * step + (step * GAP) / 2}
                    width={step * (1 - GAP)}
                    y={HEIGHT - 1 - height}
                    height={height}
                    fill="var(--color-accent)"
                    opacity={shown === null || shown === index ? 1 : 0.45}
                  />
                </g>
              );
            })}
          </svg>
          <p className="mt-1 flex justify-between text-xs text-muted" aria-hidden="true">
            <span>{bars[0]?.label}</span>
            <span>{bars.at(-1)?.label}</span>
          </p>
        </>
      )}
    </div>
  );
}
