export function AboutPage() {
  return (
    <article className="card">
      <h1>About</h1>
      <p>
        Harbour Ledger is the example application of Jettison. It is small on purpose; the tools that check
        and build it are not, and none of them belongs in the image that serves this page.
      </p>
    </article>
  );
}
