// Starts the page: the list first, since a reader begins there.

async function startPage() {
  const words = await readBlock("words");
  let list = null;
  const startList = async () => { list = await startLeads(); };
  const parts = [startTheme, startList, () => startOneLead(words, list), startCharts];
  for (const start of parts) await tryPart(() => start(words));
  document.documentElement.dataset.ready = "yes";
}

// A part that fails takes no other with it, and the page says so to a reader who sees no console.
async function tryPart(start) {
  try {
    await start();
  } catch (error) {
    console.error(error);
    document.getElementById("broken").hidden = false;
  }
}

tryPart(startPage);
