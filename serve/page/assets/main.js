// Starts the page: the list first, since a reader begins there.

async function startPage() {
  startTheme();
  const words = await readBlock("words");
  await startLeads(words);
  await startOneLead(words);
  await startCharts(words);
  document.documentElement.dataset.ready = "yes";
}

startPage();
