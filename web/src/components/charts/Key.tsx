import classes from "./Key.module.css";

/** What the colours of shares stand for. */
export function Key({ words }: { words: readonly { key: string; label: string; color: string }[] }) {
  return (
    <div className={classes.root}>
      {words.map((word) => (
        <span key={word.key}>
          <i style={{ background: word.color }} />
          {word.label}
        </span>
      ))}
    </div>
  );
}
